"""Cameras over HTTP: MJPEG of all kinds, one image per request, and what is neither."""

from __future__ import annotations

import io
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from clocks import wait_until
from http_cameras import Request, http_camera
from PIL import Image
from source_errors import assert_enter_fails
from stream_servers import MjpegServer, jpeg_frame, number_of, numbered_frame

from device_apps.sources.http_camera import open_http
from device_apps.sources.open_source import open_source
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.errors import SettingError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import read_image, read_reduced

MULTIPART = "multipart/x-mixed-replace; boundary=frame"
# content type, what is sent for an image, whether in chunks
STREAMS: dict[str, tuple[str | None, Callable[[bytes], bytes], bool]] = {
    "usual": (MULTIPART, lambda j: b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + j + b"\r\n", False),
    "image/jpg": (MULTIPART, lambda j: b"--frame\r\nContent-type: image/jpg\r\n\r\n" + j + b"\r\n", False),
    "option": (MULTIPART, lambda j: b"--frame\r\nContent-Type: image/jpeg;size=8x8\r\n\r\n" + j + b"\r\n", False),
    "no part headers": (MULTIPART, lambda j: b"--frame\r\n\r\n" + j + b"\r\n", False),
    "no line break": (MULTIPART, lambda j: b"--frameContent-type: image/jpeg\r\n\r\n" + j, False),
    "no boundary stated": ("multipart/x-mixed-replace", lambda j: b"\r\n--x\r\n\r\n" + j, False),
    "quotes and dashes": ('Multipart/Mixed; boundary="--x"', lambda j: b"----x\r\n\r\n" + j, False),
    "chunks": (MULTIPART, lambda j: b"\r\n--frame\r\n\r\n" + j, True),
    "bare": ("video/x-motion-jpeg", lambda j: j, False),
    "no type": (None, lambda j: b"--x\r\n\r\n" + j, False),
    "octets": ("application/octet-stream", lambda j: b"--x\r\n\r\n" + j, False),
}


def numbers_of(source: object, count: int) -> list[int]:
    return [number_of(frame.image) for frame in itertools.islice(source, count)]  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", STREAMS)
def test_stream_of_images(kind: str) -> None:
    content_type, part, chunked = STREAMS[kind]

    def images() -> Iterator[bytes]:
        for number in range(200):
            yield part(jpeg_frame(number))
            time.sleep(0.02)

    with http_camera(lambda request: request.stream(content_type, images(), chunked=chunked)) as server:
        with open_source(server.url.replace("http://", "HTTP://")) as source:
            numbers = numbers_of(source, 5)
        assert source.live
        assert numbers == sorted(set(numbers))
        assert server.paths == ["/"]


def test_only_the_newest_image_that_arrived_is_decoded() -> None:
    burst = b"".join(b"--frame\r\n\r\n" + jpeg_frame(number) for number in range(50))
    again = threading.Event()

    def images() -> Iterator[bytes]:
        yield b"--frame\r\n\r\n" + jpeg_frame(100)
        again.wait(20)
        yield burst

    with http_camera(lambda request: request.stream(MULTIPART, images())) as server, open_source(server.url) as source:
        assert numbers_of(source, 1) == [100]
        again.set()
        for frame in source:
            if number_of(frame.image) == 49:
                break
    assert frame.sequence == 50
    assert source.counts.frames == 51
    assert source.counts.dropped >= 1


def test_opencv_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with MjpegServer(fps=50) as server, open_source(server.url) as source:
        assert source.read(10.0) is not None


def test_url_with_one_image_per_request_is_polled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "device_apps")
    count = itertools.count()
    with http_camera(lambda request: request.respond(jpeg_frame(next(count)))) as server:
        with open_source(f"{server.url}cgi-bin/snapshot.cgi", fps=50) as source:
            assert source.fps == 50
            numbers = numbers_of(source, 20)
        assert numbers == sorted(set(numbers))
        assert source.live
        assert len(server.clients) == 1
    assert caplog.messages == []


def test_rate_of_a_stream_cannot_be_requested(caplog: pytest.LogCaptureFixture) -> None:
    with MjpegServer(fps=50) as server, open_source(server.url, fps=5) as source:
        next(iter(source))
        server.drop_clients()
        wait_until(lambda: source.counts.reconnects == 1)
    assert [message for message in caplog.messages if "--fps has no effect" in message] == [
        f"{server.url}: sends a stream, at a rate of its own; --fps has no effect"
    ]


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_images_of_other_formats_are_polled(kind: str) -> None:
    count = itertools.count()

    def answer(request: Request) -> None:
        file = io.BytesIO()
        Image.fromarray(numbered_frame(next(count))).save(file, kind)
        request.respond(file.getvalue(), "application/octet-stream")

    with http_camera(answer) as server, open_source(server.url, fps=50) as source:
        assert numbers_of(source, 3) == [0, 1, 2]


@pytest.mark.parametrize("tag", [True, False])
def test_unchanged_image_counts_only_now_and_then(tag: bool) -> None:
    def answer(request: Request) -> None:
        headers = {"ETag": f'"{number}"'} if tag else {}
        if tag and request.headers.get("If-None-Match") == f'"{number}"':
            request.send_response(304)
            request.end_headers()
        else:
            request.respond(jpeg_frame(number), **headers)

    number = 1
    with http_camera(answer) as server:
        timeouts = CaptureTimeouts(stall=1.0)
        with open_source(server.url, fps=100, timeouts=timeouts) as source:
            wait_until(lambda: len(server.paths) >= 30)
            requests, frames = len(server.paths), source.counts.frames
            number = 2
            wait_until(lambda: source.counts.frames > frames)
            frame = source.read(5.0)
            assert frame is not None
            assert number_of(frame.image) in (1, 2)
            assert requests > 3 * frames
            number = 1
            wait_until(lambda: source.counts.frames >= frames + 4)  # The repetitions keep the source connected.
            assert (source.counts.stalls, source.counts.reconnects) == (0, 0)


def test_polling_may_be_slower_than_the_stall_timeout() -> None:
    count = itertools.count()
    with http_camera(lambda request: request.respond(jpeg_frame(next(count)))) as server:
        with open_source(server.url, fps=5, timeouts=CaptureTimeouts(stall=0.1)) as source:
            assert numbers_of(source, 4) == [0, 1, 2, 3]
        assert (source.counts.stalls, source.counts.reconnects) == (0, 0)


def test_camera_that_fails_between_two_requests_is_opened_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "device_apps")
    count = itertools.count()

    def answer(request: Request) -> None:
        number = next(count)
        request.respond(jpeg_frame(number), status=503 if number == 2 else 200)

    with http_camera(answer) as server, open_source(server.url, fps=50) as source:
        numbers = numbers_of(source, 4)
    assert 2 not in numbers
    assert caplog.messages[0].startswith(f"lost {server.url} (the server responds 503")
    assert caplog.messages[1].endswith("is back, reconnected")


@pytest.mark.parametrize(
    ("content", "kind", "match"),
    [
        (b"<!DOCTYPE html><html><body>camera</body></html>", "text/html", "sends a page .text/html., no images"),
        (b'{"error": "login"}', "application/json", "sends a page .application/json."),
        (b"", "image/jpeg", "the server's response is empty"),
        (b"\xff\xd8\xff\xe0 no image at all ", "image/jpeg", "ends without a complete image"),
        (
            b"no video either, only text of some length",
            "text/plain",
            "OpenCV cannot open this stream; check the port and the path",
        ),
    ],
)
def test_other_content_is_one_line(content: bytes, kind: str, match: str) -> None:
    with http_camera(lambda request: request.respond(content, kind)) as server:
        assert_enter_fails(match, open_source, server.url)


def test_images_that_cannot_be_decoded_are_an_error() -> None:
    jpeg = jpeg_frame(1)
    frame_header = jpeg.index(b"\xff\xc0")
    damaged = jpeg[: frame_header + 5] + bytes(4) + jpeg[frame_header + 9 :]  # An image of 0×0 pixels.
    with http_camera(lambda request: request.stream(MULTIPART, itertools.repeat(damaged))) as server:
        assert_enter_fails("30 images in a row cannot be decoded", open_source, server.url)


def test_stream_without_a_complete_image_ends_in_time() -> None:
    def trickle() -> Iterator[bytes]:
        yield b"--frame\r\n\r\n" + jpeg_frame(1)[:-2]
        while True:
            yield b"\0"
            time.sleep(0.05)

    with http_camera(lambda request: request.stream(MULTIPART, trickle())) as server:
        reader = open_http(server.url, CaptureTimeouts(stall=0.1))
        try:
            with pytest.raises(Exception, match=r"no complete image within 1\.1 s"):
                reader.read()
        finally:
            reader.close()


def test_frames_are_decoded_at_the_size_that_the_network_needs() -> None:
    spec = InputSpec(64, 64)
    with MjpegServer(fps=50, size=(640, 480)) as server:
        with open_source(server.url, input_spec=spec) as source:
            frame = source.read(5.0)
        with open_source(server.url) as source:
            in_full = source.read(5.0)
    assert frame is not None
    assert in_full is not None
    assert (frame.size, frame.pixels.shape) == ((480, 640), (60, 80, 3))
    jpeg = jpeg_frame(number_of(frame.image), 640, 480)
    assert np.array_equal(frame.pixels, read_reduced(jpeg, spec).pixels)
    assert np.array_equal(frame.image, read_image(jpeg))
    assert in_full.pixels.shape == (480, 640, 3)
    assert in_full.image is in_full.pixels


def test_motion_jpeg_without_huffman_tables_is_decoded() -> None:
    jpeg, at, short = jpeg_frame(5), 2, b"\xff\xd8"
    while jpeg[at + 1] != 0xDA:  # As webcams send it.
        length = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        short += b"" if jpeg[at + 1] == 0xC4 else jpeg[at : at + length]
        at += length
    short += jpeg[at:]
    assert len(short) < len(jpeg) - 400
    with http_camera(lambda request: request.respond(short)) as server, open_source(server.url) as source:
        assert numbers_of(source, 1) == [5]


def test_fps_is_for_cameras_and_http_only() -> None:
    for url in ("rtsp://127.0.0.1/x", "http://127.0.0.1/x"):
        with pytest.raises(SettingError, match="width, height and fps are options of cameras only"):
            open_source(url, width=640, fps=2)
    with pytest.raises(SettingError, match="options of cameras only"):
        open_source("rtsp://127.0.0.1/x", fps=2)
