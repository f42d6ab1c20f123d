"""Network cameras: MJPEG over HTTP and RTSP from real servers on loopback."""

from __future__ import annotations

import functools
import http.server
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from clocks import wait_until
from source_errors import assert_enter_fails
from stream_servers import MjpegServer, RtspServer, number_of, numbered_frame
from test_device_video_file import make_video

from device_apps.sources.open_source import open_source
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.errors import SourceError

SERVERS = [MjpegServer, RtspServer]
OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


@pytest.mark.parametrize("number", [0, 1, 2, 77, 128, 255])
def test_number_of_numbered_frame(number: int) -> None:
    assert number_of(numbered_frame(number)) == number


@pytest.mark.parametrize("kind", SERVERS)
def test_stream_delivers_rgb_frames(kind: type[MjpegServer]) -> None:
    with kind(fps=60) as server, open_source(server.url) as source:
        frames = []
        for frame in source:
            frames.append(frame)
            if len(frames) == 10:
                break
    assert source.live
    assert frames[0].image.shape == (128, 160, 3)
    assert frames[0].name == server.url
    # The number in the image is counted by the server, the sequence by the source.
    assert [number_of(frame.image) for frame in frames] == [frame.sequence for frame in frames]
    assert len({frame.sequence for frame in frames}) == 10


@pytest.mark.parametrize("kind", SERVERS)
def test_slow_reader_gets_newest_frames(kind: type[MjpegServer]) -> None:
    with kind(fps=60) as server, open_source(server.url) as source:
        reader = iter(source)
        next(reader)
        time.sleep(1.0)  # About 60 frames pass.
        source.read(1.0)  # The newest frame at this time …
        frame = next(reader)  # … and the next one.
        assert frame.sequence >= 30
        assert source.counts.dropped >= 28
        assert number_of(frame.image) == frame.sequence


@pytest.mark.parametrize("kind", SERVERS)
def test_closed_stream_is_reconnected(kind: type[MjpegServer], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with kind(fps=60) as server, open_source(server.url) as source:
        reader = iter(source)
        before = next(reader)
        server.drop_clients()
        while server.connections < 2 or not caplog.messages or not caplog.messages[-1].endswith("reconnected"):
            after = next(reader)
        assert after.sequence > before.sequence
        assert caplog.messages == [f"lost {server.url}; reconnecting", f"{server.url}: is back, reconnected"]


def test_broken_log_does_not_end_the_source(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenStream:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    caplog.set_level("INFO")
    handler = logging.StreamHandler(BrokenStream())
    logging.getLogger("device_apps").addHandler(handler)
    try:
        with MjpegServer(fps=60) as server, open_source(server.url) as source:
            next(iter(source))
            server.drop_clients()
            wait_until(lambda: source.counts.reconnects == 1)
            wait_until(lambda: len(caplog.messages) == 2)
            assert source.read(5.0) is not None
    finally:
        logging.getLogger("device_apps").removeHandler(handler)


def test_restarted_camera_may_have_another_size() -> None:
    with MjpegServer(fps=60) as server, open_source(server.url) as source:
        reader = iter(source)
        assert next(reader).image.shape == (128, 160, 3)
        with server.away():
            server.size = (96, 64)
            time.sleep(0.2)
        while (frame := next(reader)).image.shape == (128, 160, 3):
            pass
        assert frame.image.shape == (64, 96, 3)
        number_of(frame.image)


@pytest.mark.parametrize("kind", SERVERS)
def test_stalled_stream_is_reopened(kind: type[MjpegServer]) -> None:
    with kind(fps=60) as server, open_source(server.url, timeouts=CaptureTimeouts(stall=0.4)) as source:
        next(iter(source))
        server.mute.set()
        while source.counts.connected:
            source.read(0.1)
        server.mute.clear()  # For new connections; earlier ones stay mute.
        assert number_of(next(iter(source)).image) >= 0
        assert source.counts.connected
        assert (source.counts.stalls, source.counts.reconnects) == (1, 1)
        assert source.counts.abandoned >= 1


def test_stream_ends_after_its_retries() -> None:
    with MjpegServer(fps=60) as server, open_source(server.url, retries=2) as source:
        next(iter(source))
        with server.away(), pytest.raises(SourceError, match="lost, and 2 attempts to reconnect failed"):
            list(source)
        assert source.ended


@pytest.mark.parametrize("kind", SERVERS)
def test_stream_without_frames_is_an_error(kind: type[MjpegServer]) -> None:
    with kind() as server:
        server.paused.set()
        timeouts = CaptureTimeouts(stall=0.1, stream_open=0.5)
        assert_enter_fails(r"sends no video|delivers no frame", open_source, server.url, timeouts=timeouts)


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """URL of a plain web server for ``tmp_path``."""
    handler = functools.partial(_Files, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("name", "codec"), [("clip.avi", "MJPG"), ("clip.mp4", "mp4v")])
def test_video_file_at_url_is_a_recording(
    web: str, tmp_path: Path, name: str, codec: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_video(tmp_path / name, codec)
    caplog.set_level("INFO", "device_apps")
    with open_source(f"{web}/{name}") as source:
        numbers = []
        for frame in source:
            time.sleep(0.005)
            numbers.append(number_of(frame.image))
    assert numbers == list(range(20))
    assert (source.live, source.counts.dropped, caplog.messages) == (False, 0, [])


def test_wrong_path_is_reported_with_the_response() -> None:
    with MjpegServer() as server:
        url = server.url.replace("/stream", "/nothing")
        assert_enter_fails("the server responds 404 Not Found; check the path", open_source, url)


def test_unreachable_stream_is_reported_without_its_password() -> None:
    with MjpegServer() as server:
        port = server.port
    error = assert_enter_fails("no response", open_source, f"rtsp://user:secret@127.0.0.1:{port}/stream")
    assert "secret" not in error
    assert f"rtsp://user:***@127.0.0.1:{port}/stream: no response from 127.0.0.1:{port}" in error


def test_rtsp_requests_tcp_first() -> None:
    with RtspServer(fps=60) as server, open_source(server.url) as source:
        assert source.read(5.0) is not None
    assert "RTP/AVP/TCP" in server.transports[0]


def test_slow_rtsp_stream_is_open_after_three_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OPTIONS, raising=False)
    with RtspServer(fps=4) as server, open_source(server.url) as source:
        assert source.read(5.0) is not None
        assert server.sent < 10  # FFmpeg alone waits for 20.
        assert source.fps == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(("threads", "passed"), [(None, True), ("4", False)])
def test_stream_is_decoded_in_one_thread_unless_configured(
    monkeypatch: pytest.MonkeyPatch, threads: str | None, passed: bool
) -> None:
    options: list[int] = []
    real = cv2.VideoCapture

    def capture(url: str, backend: int, parameters: list[int]) -> cv2.VideoCapture:
        options.extend(parameters)
        return real(url, backend, parameters)

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    if threads is not None:
        monkeypatch.setenv("OPENCV_FFMPEG_THREADS", threads)
    with RtspServer(fps=60) as server, open_source(server.url, timeouts=CaptureTimeouts(stall=3.0)) as source:
        assert source.read(5.0) is not None
    passed_options = dict(zip(options[::2], options[1::2], strict=True))
    assert passed_options.get(cv2.CAP_PROP_N_THREADS) == (1 if passed else None)
    assert passed_options[cv2.CAP_PROP_OPEN_TIMEOUT_MSEC] == 10_500
    assert passed_options[cv2.CAP_PROP_READ_TIMEOUT_MSEC] == 4_000


def test_stream_that_hangs_while_opening_does_not_block_another() -> None:
    with MjpegServer() as silent, MjpegServer(fps=60) as server:
        silent.mute.set()
        stop = threading.Event()
        stuck = open_source(silent.url, stop=stop)
        thread = threading.Thread(target=stuck.__enter__)
        thread.start()
        wait_until(lambda: silent.connections > 0)
        with open_source(server.url) as source:  # OpenCV alone would wait for seven seconds.
            assert source.read(5.0) is not None
            assert thread.is_alive()
        stop.set()
        thread.join(10)
        stuck.__exit__(None, None, None)


@pytest.mark.parametrize("kind", SERVERS)
def test_wrong_password_is_reported_and_redacted(kind: type[MjpegServer]) -> None:
    with kind(fps=60, password="right") as server:
        url = server.url.replace("//", "//user:{}@")
        with open_source(url.format("right")) as source:
            assert source.read(5.0) is not None
            assert source.name == url.format("***")
        error = assert_enter_fails("check user and password", open_source, url.format("hunter2"))
    assert f"{url.format('***')}: the server responds 401 Unauthorized; check user and password" in error
    assert "hunter2" not in error


def test_capture_options_of_the_environment_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPTIONS, "rtsp_transport;tcp|stimeout;1")
    with RtspServer(fps=60) as server, open_source(server.url) as source:
        next(iter(source))
    assert os.environ[OPTIONS] == "rtsp_transport;tcp|stimeout;1"


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/x", "foo://127.0.0.1/x", "http:///x", "rtsp://[::1/x"])
def test_invalid_url_is_refused(url: str) -> None:
    assert_enter_fails("give http://, https:// or rtsp:// with a host", open_source, url)
