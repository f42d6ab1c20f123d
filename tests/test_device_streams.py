"""Network cameras: real MJPEG over HTTP and real RTSP, on loopback."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from stream_servers import MjpegServer, RtspServer, jpeg_frame, number_of, numbered_frame
from test_device_stalls import wait_for
from test_device_video_file import make_video

from device_apps.sources import opencv
from device_apps.sources.open_source import open_source
from edge_ssd.errors import SourceError

SERVERS = [MjpegServer, RtspServer]
OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


@pytest.mark.parametrize("number", [0, 1, 2, 77, 128, 255])
def test_a_numbered_frame_carries_its_number(number: int) -> None:
    assert number_of(numbered_frame(number)) == number


@pytest.mark.parametrize("kind", SERVERS)
def test_a_stream_gives_its_frames_in_true_colours(kind: type[MjpegServer]) -> None:
    with kind(fps=60) as server, open_source(server.url) as source:
        frames = []
        for frame in source:
            frames.append(frame)
            if len(frames) == 10:
                break
    assert source.live
    assert frames[0].image.shape == (128, 160, 3)
    assert frames[0].name == server.url
    # The number in the picture is the server's, the sequence is ours: as one grows, so does the other.
    assert [number_of(frame.image) for frame in frames] == [frame.sequence for frame in frames]
    assert len({frame.sequence for frame in frames}) == 10
    assert OPTIONS not in os.environ


@pytest.mark.parametrize("kind", SERVERS)
def test_a_slow_reader_gets_new_frames_not_old_ones(kind: type[MjpegServer]) -> None:
    with kind(fps=60) as server, open_source(server.url) as source:
        reader = iter(source)
        next(reader)
        time.sleep(1.0)  # Some 60 frames go by.
        source.read(1.0)  # What was newest when this was asked for …
        frame = next(reader)  # … and the one after.
        assert frame.sequence >= 30
        assert source.counts.dropped >= 28
        assert number_of(frame.image) == frame.sequence


@pytest.mark.parametrize("kind", SERVERS)
def test_a_stream_that_breaks_off_comes_back(kind: type[MjpegServer]) -> None:
    lines: list[str] = []
    with kind(fps=60) as server, open_source(server.url, notice=lines.append) as source:
        reader = iter(source)
        before = next(reader)
        server.drop_clients()
        while server.connections < 2 or not lines or not lines[-1].endswith("is back"):
            after = next(reader)
        assert after.sequence > before.sequence
        assert lines == [f"lost {server.url}; trying to get it back", f"{server.url} is back"]


def test_a_log_that_has_gone_does_not_end_the_source() -> None:
    told: list[str] = []

    def notice(line: str) -> None:
        told.append(line)
        raise BrokenPipeError

    with MjpegServer(fps=60) as server, open_source(server.url, notice=notice) as source:
        next(iter(source))
        server.drop_clients()
        wait_for(lambda: source.counts.reconnects == 1)
        wait_for(lambda: len(told) == 2)
        assert source.read(5.0) is not None


def test_a_camera_that_restarts_with_another_size(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_stream_that_falls_silent_is_opened_again(kind: type[MjpegServer]) -> None:
    with kind(fps=60) as server, open_source(server.url, stall_timeout=0.5) as source:
        next(iter(source))
        server.mute.set()
        while source.counts.connected:
            source.read(0.1)
        server.mute.clear()  # For new connections; the old one, and those made meanwhile, stay silent.
        assert number_of(next(iter(source)).image) >= 0
        assert source.counts.connected
        assert (source.counts.stalls, source.counts.reconnects) == (1, 1)
        assert source.counts.abandoned >= 1


def test_a_stream_that_stays_away_is_given_up() -> None:
    lines: list[str] = []
    with MjpegServer(fps=60) as server, open_source(server.url, retries=2, notice=lines.append) as source:
        next(iter(source))
        with server.away(), pytest.raises(SourceError, match="lost, and not back after 2 attempts"):
            list(source)
        assert source.ended


@pytest.mark.parametrize("kind", SERVERS)
def test_a_stream_that_never_sends_is_refused(kind: type[MjpegServer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opencv, "_SHORTEST_OPEN_S", 0.5)
    with kind() as server:
        server.paused.set()
        source = open_source(server.url, stall_timeout=0.1)
        with pytest.raises(SourceError, match=r"sends no video|gives no picture"), source:
            pytest.fail("entered")


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A plain web server over ``tmp_path``; gives its URL."""
    handler = functools.partial(_Files, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("name", "codec"), [("clip.avi", "MJPG"), ("clip.mp4", "mp4v")])
def test_a_video_file_behind_a_url_is_a_recording(web: str, tmp_path: Path, name: str, codec: str) -> None:
    make_video(tmp_path / name, codec)
    lines: list[str] = []
    with open_source(f"{web}/{name}", notice=lines.append) as source:
        numbers = []
        for frame in source:
            time.sleep(0.005)
            numbers.append(number_of(frame.image))
    assert numbers == list(range(20))
    assert (source.live, source.counts.dropped, lines) == (False, 0, [])


def test_a_picture_behind_a_url_is_no_stream_to_ask_for_without_end(web: str, tmp_path: Path) -> None:
    (tmp_path / "snapshot.jpg").write_bytes(jpeg_frame(7))
    numbers = []
    with open_source(f"{web}/snapshot.jpg", retries=2) as source, contextlib.suppress(SourceError):
        numbers.extend(number_of(frame.image) for frame in source)
    assert numbers == [7, 7, 7]
    assert source.ended


def test_a_wrong_path_is_named_with_the_servers_answer() -> None:
    with MjpegServer() as server:
        url = server.url.replace("/stream", "/nothing")
        with pytest.raises(SourceError, match="the server answers 404 Not Found; check the path"), open_source(url):
            pytest.fail("entered")


def test_a_stream_that_is_not_there_is_named_without_its_password() -> None:
    with MjpegServer() as server:
        port = server.port
    url = f"rtsp://user:secret@127.0.0.1:{port}/stream"
    with pytest.raises(SourceError) as caught, open_source(url):
        pytest.fail("entered")
    assert "secret" not in str(caught.value)
    assert f"rtsp://user:***@127.0.0.1:{port}/stream: nothing answers at 127.0.0.1:{port}" in str(caught.value)


def test_rtsp_is_asked_for_over_tcp_first() -> None:
    with RtspServer(fps=60) as server, open_source(server.url) as source:
        assert source.read(5.0) is not None
    assert "RTP/AVP/TCP" in server.transports[0]
    assert OPTIONS not in os.environ


@pytest.mark.parametrize(("threads", "passed"), [(None, True), ("4", False)])
def test_a_stream_is_decoded_in_one_thread_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, threads: str | None, passed: bool
) -> None:
    asked: list[int] = []
    real = cv2.VideoCapture

    def capture(url: str, backend: int, parameters: list[int]) -> cv2.VideoCapture:
        asked.extend(parameters)
        return real(url, backend, parameters)

    monkeypatch.setattr(cv2, "VideoCapture", capture)
    if threads is not None:
        monkeypatch.setenv("OPENCV_FFMPEG_THREADS", threads)
    with MjpegServer(fps=60) as server, open_source(server.url, stall_timeout=3.0) as source:
        assert source.read(5.0) is not None
    given = dict(zip(asked[::2], asked[1::2], strict=True))
    assert given.get(cv2.CAP_PROP_N_THREADS) == (1 if passed else None)
    assert given[cv2.CAP_PROP_OPEN_TIMEOUT_MSEC] == 10_500
    assert given[cv2.CAP_PROP_READ_TIMEOUT_MSEC] == 4_000


def test_one_stream_that_is_stuck_in_opening_does_not_keep_another_from_it() -> None:
    with MjpegServer() as silent, MjpegServer(fps=60) as server:
        silent.mute.set()
        stop = threading.Event()
        stuck = open_source(silent.url, stop=stop)
        thread = threading.Thread(target=stuck.__enter__)
        thread.start()
        wait_for(lambda: silent.connections > 0)
        with open_source(server.url) as source:  # OpenCV would wait for seven seconds.
            assert source.read(5.0) is not None
            assert thread.is_alive()
        stop.set()
        thread.join(10)
        stuck.__exit__(None, None, None)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_wrong_password_is_told_and_not_shown(kind: type[MjpegServer]) -> None:
    with kind(fps=60, password="right") as server:
        url = server.url.replace("//", "//user:{}@")
        with open_source(url.format("right")) as source:
            assert source.read(5.0) is not None
            assert source.name == url.format("***")
        with pytest.raises(SourceError) as caught, open_source(url.format("hunter2")):
            pytest.fail("entered")
    assert f"{url.format('***')}: the server answers 401 Unauthorized; check user and password" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_users_own_capture_options_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPTIONS, "rtsp_transport;tcp|stimeout;1")
    with RtspServer(fps=60) as server, open_source(server.url) as source:
        next(iter(source))
    assert os.environ[OPTIONS] == "rtsp_transport;tcp|stimeout;1"


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/x", "foo://127.0.0.1/x", "http:///x", "rtsp://[::1/x"])
def test_a_url_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(SourceError), open_source(url):
        pytest.fail("entered")
