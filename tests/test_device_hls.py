"""Live HLS streams and HLS recordings from a server on loopback."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from clocks import Clock
from http_cameras import Request, http_camera
from source_errors import assert_enter_fails
from stream_servers import number_of, numbered_frame

from device_apps.sources import hls
from device_apps.sources.hls import PacedReader
from device_apps.sources.open_source import open_source
from device_apps.sources.timeouts import CaptureTimeouts

FPS = 12  # OpenCV writes a keyframe every 12 frames: segments of one second.
SECONDS = 12
PLAYLIST = "application/vnd.apple.mpegurl"


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """An MPEG transport stream of numbered frames, divided where a keyframe begins."""
    path = tmp_path_factory.mktemp("hls") / "all.ts"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), FPS, (160, 128))
    for number in range(FPS * SECONDS):
        writer.write(np.ascontiguousarray(numbered_frame(number)[..., ::-1]))
    writer.release()
    data, found = path.read_bytes(), [b""]
    for start in range(0, len(data), 188):
        packet = data[start : start + 188]
        has_adaptation_field, starts_unit = packet[3] & 0x20, packet[1] & 0x40
        if has_adaptation_field and starts_unit and packet[4] and packet[5] & 0x40 and len(found[-1]) > 1000:
            found.append(b"")
        found[-1] += packet
    assert len(found) >= SECONDS - 1
    return found


def serve(segments: list[bytes], newest: Callable[[], int], *, complete: bool = False) -> Callable[[Request], None]:
    """Return the answers of a camera with a playlist of the last four segments, behind a playlist of variants."""

    def answer(request: Request) -> None:
        if request.path == "/camera":
            request.respond(b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\nlive/index?x=1\n", PLAYLIST)
        elif request.path == "/live/index?x=1":
            last = newest()
            first = 0 if complete else max(0, last - 3)
            lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
            for number in range(first, last + 1):
                lines += ["#EXTINF:1.0,", f"{number}.ts"]
            lines += ["#EXT-X-ENDLIST"] if complete else []
            request.respond("\n".join([*lines, ""]).encode(), PLAYLIST)
        else:
            request.respond(segments[int(request.path.split("/")[-1].partition(".")[0])], "video/mp2t")

    return answer


def test_live_stream_has_the_speed_of_its_playlist(segments: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "device_apps")
    start = time.monotonic()

    def newest() -> int:
        return min(3 + int(time.monotonic() - start), len(segments) - 1)

    limits = CaptureTimeouts(stall=0.2)  # Between two segments FFmpeg delivers nothing for longer.
    with http_camera(serve(segments, newest)) as camera, open_source(f"{camera.url}camera", timeouts=limits) as source:
        frames = list(itertools.islice(source, 3 * FPS))
        assert source.live
        assert (source.counts.stalls, source.counts.reconnects) == (0, 0)
    numbers = [number_of(frame.image) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert frames[-1].captured_at - frames[0].captured_at > 0.7 * (numbers[-1] - numbers[0]) / FPS
    assert caplog.messages == []


def test_complete_playlist_is_a_recording(segments: list[bytes]) -> None:
    with http_camera(serve(segments, lambda: 2, complete=True)) as server:
        with open_source(f"{server.url}camera") as source:
            numbers = [number_of(frame.image) for frame in source]
        assert not source.live
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 2 * FPS


def test_playlist_that_ffmpeg_does_not_take_is_one_line() -> None:
    with http_camera(lambda request: request.respond(b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n", "text/plain")) as server:
        assert_enter_fails(
            "an HLS playlist that FFmpeg does not take .its type is text/plain.; serve it as application/vnd.apple",
            open_source,
            server.url,
        )


class _Reader:
    """Frames with these time stamps, in seconds."""

    live, time, fps = True, None, 10.0

    def __init__(self, stamps: list[float]) -> None:
        self._stamps = iter(stamps)
        self.position = 0.0

    def read(self) -> object:
        self.position = next(self._stamps)
        return object()

    def close(self) -> None:
        pass


def test_pace_follows_time_stamps_and_begins_again_after_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(100.0)
    monkeypatch.setattr(hls.time, "monotonic", clock)
    monkeypatch.setattr(hls.time, "sleep", lambda seconds: setattr(clock, "now", clock.now + seconds))
    #  a second each; expired segments; a new beginning; a stall of five seconds
    stamps = [50.0, 51.0, 52.0, 90.0, 91.0, 0.0, 1.0, 2.0, 3.0]
    reader = PacedReader(_Reader(stamps), target=6.0, max_interval=18.0)  # type: ignore[arg-type]
    times = []
    for number in range(len(stamps)):
        if number == 7:
            clock.now += 5.0
        reader.read()
        times.append(round(clock.now - 100.0, 3))
    assert times == [0.0, 1.0, 2.0, 2.0, 3.0, 3.1, 4.1, 9.1, 10.1]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a child process is used on Linux")
@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSTOP])
def test_ffmpeg_that_aborts_or_hangs_is_opened_again(
    segments: list[bytes], caplog: pytest.LogCaptureFixture, number: int
) -> None:
    start = time.monotonic()
    timeouts = CaptureTimeouts(retry_pause=lambda attempt: 0.05)
    answer = serve(segments, lambda: min(SECONDS - 2, 3 + int(time.monotonic() - start)))
    with http_camera(answer) as server, open_source(f"{server.url}camera", timeouts=timeouts) as source:
        assert source.read(10.0) is not None
        os.kill(child_of_this_process(), number)
        end = time.monotonic() + 30
        while source.counts.reconnects == 0 and time.monotonic() < end:
            source.read(0.1)
        assert source.counts.reconnects == 1


def child_of_this_process() -> int:
    tasks = Path("/proc/self/task").iterdir()
    children = [pid for task in tasks for pid in (task / "children").read_text().split()]
    (child,) = [pid for pid in children if b"capture_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return int(child)
