"""Detection of truncated videos, on real files truncated at many places and on hand-made headers."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from source_errors import assert_enter_fails
from stream_servers import number_of, numbered_frame

from device_apps.sources.open_source import open_source
from device_apps.sources.video_file import truncation_error
from edge_ssd.errors import SourceError

FRAMES = 20
KINDS = {"clip.avi": "MJPG", "clip.mp4": "mp4v", "clip.webm": "VP80"}


def make_video(path: Path, codec: str, frames: int = FRAMES, size: tuple[int, int] = (160, 128)) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, size)
    assert writer.isOpened()
    for number in range(frames):
        writer.write(cv2.cvtColor(numbered_frame(number, *size), cv2.COLOR_RGB2BGR))
    writer.release()
    return path


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name, codec in KINDS.items():
        make_video(folder / name, codec)
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_complete_video_delivers_every_frame(videos: Path, name: str) -> None:
    assert truncation_error(videos / name) is None
    with open_source(str(videos / name)) as source:
        frames = list(source)
    assert [number_of(frame.image) for frame in frames] == list(range(FRAMES))
    assert [frame.sequence for frame in frames] == list(range(FRAMES))
    assert (source.live, source.fps, source.counts.dropped) == (False, 25.0, 0)
    assert frames[0].name == str(videos / name)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.05])
def test_truncated_video_is_detected(videos: Path, tmp_path: Path, name: str, share: float) -> None:
    data = (videos / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(len(data) * share)])
    seen: list[int] = []
    with pytest.raises(SourceError) as caught, open_source(str(path)) as source:
        seen.extend(frame.sequence for frame in source)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "truncated" in message or "never finished" in message
    assert "copy" in message
    assert seen == list(range(len(seen)))
    if seen:
        assert f"frames used: {len(seen)}" in message
    # The frames before the truncation are used; without the index at the end of this MP4 there are none.
    assert bool(seen) == (share > 0.1 and (name != "clip.mp4" or share > 0.99))


def test_truncation_after_an_index_at_the_start_is_detected(videos: Path, tmp_path: Path) -> None:
    data = (videos / "clip.mp4").read_bytes()
    at = data.index(b"moov") - 4
    front = data[at:] + data[:at]  # Its offsets are wrong then, but its sizes, which are checked, are right.
    path = tmp_path / "front.mp4"
    path.write_bytes(b"\0\0\0\x08free" + front)
    assert truncation_error(path) is None
    path.write_bytes(b"\0\0\0\x08free" + front[:-100])
    assert truncation_error(path) == f"it is truncated: {len(data) - 92} of {len(data) + 8} bytes"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is empty"),
        (b"RIFF\x0a\0\0\0AVI 123456", None),  # 8 + 10 bytes
        (b"RIFF\x0b\0\0\0AVI 123456", "it is truncated: 18 of 19 bytes"),
        (b"RIFF\x04\0\0\0AVI RIFF\x09\0\0\0AVIX1234", "it is truncated: 28 of 29 bytes"),
        (b"RIFF\x0b\0\0\0WAVE123456", None),  # not a video
        (b"\0\0\0\x08ftyp\0\0\0\x08moov", None),
        (b"\0\0\0\x08ftyp\0\0\0\x08moov\0\0\0\0mdat123", None),  # "to the end of the file"
        (b"\0\0\0\x08ftyp\0\0\0\x08mdat", "its index ('moov') is missing, so its recording never finished"),
        (b"\0\0\0\x08ftyp\0\0\0\x01mdat" + struct.pack(">Q", 1000), "it is truncated: 24 of 1008 bytes"),
        (b"\x1a\x45\xdf\xa3\x81x\x18\x53\x80\x67\x83123", None),
        (b"\x1a\x45\xdf\xa3\x81x\x18\x53\x80\x67\x84123", "it is truncated: 14 of 15 bytes"),
        (b"\x1a\x45\xdf\xa3\x81x\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff123", None),  # live: size unknown
        (b"\x1a\x45\xdf\xa3\x81x\x18\x53\x80\x67\x01\0\0\0\0\0\0\x0412", "it is truncated: 20 of 22 bytes"),
        (b"some other container", None),
    ],
)
def test_truncation_error_of_hand_made_headers(tmp_path: Path, content: bytes, expected: str | None) -> None:
    path = tmp_path / "video"
    path.write_bytes(content)
    assert truncation_error(path) == expected


@settings(deadline=None)
@given(st.sampled_from([b"RIFF\x10\0\0\0AVI ", b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3", b""]), st.binary(max_size=80))
def test_truncation_error_accepts_any_bytes(tmp_path_factory: pytest.TempPathFactory, head: bytes, tail: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-video"
    path.write_bytes(head + tail)
    answer = truncation_error(path)
    assert answer is None or (answer.startswith("it") and "\n" not in answer)


@pytest.mark.parametrize("content", [b"", b"not a video\n" * 50, bytes(5000)])
def test_file_that_is_not_a_video_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    assert_enter_fails(r"text\.mp4: not a usable video: .*; copy it again", open_source, str(path))


@pytest.mark.parametrize("name", ["a:b.avi", "-y.avi", "frame_%03d.avi", "ümläut 文.avi", "noname"])
def test_unusual_file_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, videos: Path, name: str) -> None:
    (tmp_path / name).write_bytes((videos / "clip.avi").read_bytes())
    monkeypatch.chdir(tmp_path)
    with open_source(name) as source:
        assert len(list(source)) == FRAMES


def test_frames_of_a_recording_are_captured_into_the_same_arrays(videos: Path) -> None:
    addresses = set()
    with open_source(str(videos / "clip.avi")) as source:
        for frame in source:
            addresses.add(frame.pixels.__array_interface__["data"][0])
            assert np.array_equal(frame.pixels, frame.image)
            assert frame.image.flags.c_contiguous
            assert frame.size == frame.image.shape[:2]
            count = frame.sequence + 1
    assert count > 2 * len(addresses)
