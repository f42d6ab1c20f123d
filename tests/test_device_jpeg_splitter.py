"""Division of streams into JPEG images."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image
from stream_servers import cut, jpeg_frame, noise

from device_apps.sources.jpeg_splitter import JpegSplitter
from edge_ssd.errors import SourceError

JPEGS = [jpeg_frame(number) for number in range(4)]


def split(stream: bytes, size: int) -> list[bytes]:
    """Return the images of a stream that comes in pieces of ``size`` bytes."""
    splitter = JpegSplitter("camera")
    images = []
    for start in range(0, len(stream), size):
        splitter.feed(stream[start : start + size])
        while (image := splitter.next_image()) is not None:
            images.append(image)
    return images


FRAMINGS = {
    "none": lambda jpeg: jpeg,
    "headers": lambda jpeg: b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg),
    "wrong length": lambda jpeg: b"--b\r\nContent-Length: 7\r\n\r\n" + jpeg,
    "no headers": lambda jpeg: b"--b\r\n\r\n" + jpeg + b"\r\n",
    "no line break": lambda jpeg: b"--bContent-type: image/jpg;size=640x480\r\n\r\n" + jpeg + b"\r\n",
    "line feeds": lambda jpeg: b"--b\nContent-Type: image/jpeg\n\n" + jpeg + b"\n",
    "other parts": lambda jpeg: b"--b\r\nContent-Type: text/plain\r\n\r\nok\r\n--b\r\n\r\n" + jpeg,
    "bytes of markers": lambda jpeg: b"\xff\xff\xd8 \xff\xd9 \xff\xd8" + jpeg,
    "damaged header": lambda jpeg: b"\xff\xd8\xff\xe0\0\1" + jpeg,
}


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_images_are_found_in_any_framing(framing: str, size: int) -> None:
    stream = b"".join(map(FRAMINGS[framing], JPEGS))
    assert split(stream, size) == JPEGS


def test_image_is_complete_with_its_last_byte() -> None:
    splitter = JpegSplitter("camera")
    splitter.feed(JPEGS[0][:-1])
    assert splitter.next_image() is None
    splitter.feed(JPEGS[0][-1:])
    assert splitter.next_image() == JPEGS[0]


@pytest.mark.parametrize("options", [{"progressive": True}, {"comment": b"\xff\xd8\xff\xd9"}, {"exif": True}])
def test_markers_inside_an_image_do_not_end_it(options: dict[str, object]) -> None:
    if options.pop("exif", None):  # The thumbnail of a photo is a JPEG image in a segment.
        options["exif"] = b"Exif\0\0" + jpeg_frame(9, 64, 48)
    file = io.BytesIO()
    Image.open(io.BytesIO(JPEGS[2])).save(file, "JPEG", **options)
    assert split(file.getvalue() + JPEGS[0], 500) == [file.getvalue(), JPEGS[0]]


def test_truncated_and_damaged_images_do_not_lose_the_next_ones() -> None:
    truncated = cut(JPEGS[1])[:-2]
    assert split(b"--b\r\n\r\n" + truncated + FRAMINGS["headers"](JPEGS[2]), 100) == [JPEGS[2]]
    random.seed(1)
    images = split(b"".join(map(FRAMINGS["headers"], [noise(JPEGS[0]), JPEGS[1], noise(JPEGS[2]), JPEGS[3]])), 999)
    assert [image for image in images if image in JPEGS] == [JPEGS[1], JPEGS[3]]


@pytest.mark.parametrize("start", [b"", JPEGS[0][:-2], b"\xff\xd8\xff\xe0\xff\xff"])
def test_memory_is_bounded(start: bytes) -> None:
    def feed_without_end() -> None:
        splitter.feed(start)
        while splitter.next_image() is None:
            splitter.feed(b"y" * 1000)

    splitter = JpegSplitter("camera", max_bytes=2**20)
    with pytest.raises(SourceError, match="camera: 1 MB without a complete JPEG image"):
        feed_without_end()
