"""CaptureSource over scripted devices; devices that block: test_device_capture_threads.py."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
import pytest
from clocks import wait_until
from source_errors import assert_enter_fails

from device_apps.sources.capture import CaptureSource
from device_apps.sources.frames import Frame, Image, SourceCounts
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.errors import SourceError

QUICK = CaptureTimeouts(close=0.05, stable=0.0, retry_pause=lambda attempt: 0.01)


class Device:
    """Device with scripted frames: a number is an image of one pixel, None is the end, an error is raised."""

    def __init__(self, frames: Iterable[int | Exception | None], *, live: bool, fps: float | None = None) -> None:
        self.live = live
        self.time = None
        self.fps = fps
        self.closed_by: threading.Thread | None = None
        self._frames = iter(frames)

    def read(self) -> Image | None:
        frame = next(self._frames, None)
        if isinstance(frame, Exception):
            raise frame
        return None if frame is None else np.full((1, 1, 3), frame, np.uint8)

    def close(self) -> None:
        self.closed_by = threading.current_thread()


def opener(*devices: Device | Exception) -> Callable[[], Device]:
    """Return a function that opens one device after another; after the last, it fails."""
    remaining = iter(devices)

    def open_next() -> Device:
        device = next(remaining, SourceError("no device"))
        if isinstance(device, Exception):
            raise device
        return device

    return open_next


def steady() -> Iterator[int]:
    """Yield frames until the program ends."""
    while True:
        time.sleep(0.01)
        yield 1


def read_all(source: CaptureSource) -> tuple[list[Frame], SourceError | None]:
    """Return every frame of a source, and the error that ended it."""
    frames: list[Frame] = []
    try:
        with source:
            frames.extend(source)
    except SourceError as error:
        return frames, error
    return frames, None


def test_recording_delivers_every_frame_in_order() -> None:
    device = Device(range(100), live=False, fps=30.0)
    with CaptureSource(opener(device), "clip") as source:
        frames = []
        for frame in source:
            if frame.sequence % 10 == 0:
                time.sleep(0.002)  # A slow reader loses no frame.
            frames.append(frame)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == list(range(100))
    assert [frame.sequence for frame in frames] == list(range(100))
    assert all(first.captured_at <= second.captured_at for first, second in pairwise(frames))
    assert (source.live, source.fps, source.ended) == (False, 30.0, True)
    assert source.counts == SourceCounts(frames=100)


def test_live_source_delivers_newest_frame_and_counts_dropped() -> None:
    taken = threading.Event()

    def frames() -> Iterator[int]:
        yield from range(50)
        taken.wait(5)
        yield 50

    with CaptureSource(opener(Device(frames(), live=True)), "camera", retries=0) as source:
        wait_until(lambda: source.counts.dropped == 49)
        newest = source.read(0.0)
        assert (int(newest.image[0, 0, 0]), newest.sequence) == (49, 49)
        assert source.read(0.01) is None, "a frame was delivered twice"
        taken.set()
        last = source.read(5.0)
        assert (last.sequence, source.counts.dropped) == (50, 49)


def test_device_is_closed_by_the_thread_that_opened_it() -> None:
    device = Device(iter(lambda: 1, None), live=True)
    with CaptureSource(opener(device), "camera") as source:
        next(iter(source))
    assert device.closed_by is not None
    assert device.closed_by.name == "capture camera"
    assert not device.closed_by.is_alive()


@pytest.mark.parametrize("live", [True, False])
def test_exit_while_streaming_ends_the_thread(live: bool) -> None:
    device = Device(iter(lambda: 1, None), live=live)
    with CaptureSource(opener(device), "camera") as source:
        assert next(iter(source)).sequence >= 0
    assert source.ended
    assert list(source) == []
    assert device.closed_by is not None


def test_exit_abandons_a_read_that_blocks() -> None:
    release = threading.Event()

    def frames() -> Iterator[int | None]:
        yield 1
        release.wait(10)
        yield None

    device = Device(frames(), live=True)
    with CaptureSource(opener(device), "camera", timeouts=QUICK) as source:
        assert source.read(1.0) is not None
        assert source.read(0.01) is None
        assert not source.ended
    assert source.ended, "exited although the device still blocks"
    assert device.closed_by is None, "closed while another thread reads it"
    release.set()
    wait_until(lambda: device.closed_by is not None)


def test_enter_raises_the_error_of_opening() -> None:
    missing = SourceError("no camera at /dev/video9")
    assert_enter_fails(r"^no camera at /dev/video9$", CaptureSource, opener(missing), "camera 9")


def test_enter_raises_without_a_first_frame() -> None:
    device = Device([], live=True)
    assert_enter_fails("camera 9: it opens, but delivers no frame", CaptureSource, opener(device), "camera 9")
    assert device.closed_by is not None


def test_error_of_a_device_is_raised_by_read() -> None:
    device = Device([1, RuntimeError("bug")], live=False)
    with CaptureSource(opener(device), "clip") as source:
        assert source.read(1.0) is not None
        wait_until(lambda: device.closed_by is not None)
        with pytest.raises(SourceError, match="clip: reading failed: RuntimeError: bug"):
            source.read(1.0)
        assert source.ended


def test_truncated_recording_delivers_its_frames_before_the_error() -> None:
    device = Device([1, 2, SourceError("clip: truncated")], live=False)
    with CaptureSource(opener(device), "clip") as source:
        assert [source.read(1.0) is not None for _ in range(2)] == [True, True]
        with pytest.raises(SourceError, match="clip: truncated"):
            source.read(1.0)
        assert source.read(0.0) is None, "the error is raised once"


def test_reconnected_camera_continues_its_sequence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first, second = Device([1, None], live=True), Device([2, None], live=True)
    missing = SourceError("not yet")
    devices = opener(first, missing, missing, second)
    source = CaptureSource(devices, "camera 0", retries=3, timeouts=QUICK)
    frames, error = read_all(source)
    assert [(frame.sequence, int(frame.image[0, 0, 0])) for frame in frames] == [(0, 1), (1, 2)]
    assert "camera 0: lost, and 3 attempts to reconnect failed; check its power" in str(error)
    lost = "lost camera 0; reconnecting"
    assert caplog.messages == [lost, "camera 0: is back, reconnected", lost]
    assert first.closed_by is not None
    assert second.closed_by is not None


def test_lost_camera_is_freed_at_once() -> None:
    """Nothing waits for Python's garbage collector, which runs rarely: a reader has buffers and images."""
    cameras: list[weakref.ref[Device]] = []
    failures: list[type[Exception] | None] = [SourceError, ZeroDivisionError, None, TimeoutError]

    class Unplugged(Device):
        def read(self) -> Image | None:
            image = super().read()
            failure = failures[len(cameras) % len(failures)]
            if image is None and failure is not None:
                raise failure("unplugged")
            return image

    def open_next() -> Device:
        camera = Unplugged([1, 2] if len(cameras) < 8 else steady(), live=True)
        cameras.append(weakref.ref(camera))
        if len(cameras) == 3:
            raise SourceError("not there yet")
        return camera

    gc.collect()
    gc.disable()
    try:
        with CaptureSource(open_next, "camera", timeouts=QUICK) as source:
            wait_until(lambda: len(cameras) == 9 and source.counts.connected)
            wait_until(lambda: [camera() is None for camera in cameras] == [True] * 8 + [False])
    finally:
        gc.enable()


def test_attempts_are_not_reset_by_unstable_connections() -> None:
    asked: list[int] = []
    devices = [Device([number], live=True) for number in range(10)]
    timeouts = CaptureTimeouts(stable=5.0, retry_pause=lambda attempt: asked.append(attempt) or 0.0)
    source = CaptureSource(opener(*devices), "snapshot", retries=3, timeouts=timeouts)
    frames, error = read_all(source)
    assert "3 attempts to reconnect failed" in str(error)
    assert asked == [0, 1, 2], "each pause is longer than the previous one, although there were frames in between"
    assert frames[-1].sequence == 3
    assert source.counts.reconnects == 3


def test_source_without_retries_ends_at_first_loss() -> None:
    with CaptureSource(opener(Device([1], live=True)), "camera 0", retries=0) as source:
        assert source.read(1.0) is not None
        with pytest.raises(SourceError, match="lost, and 0 attempts to reconnect failed"):
            source.read(5.0)


def test_every_attempt_is_preceded_by_its_pause() -> None:
    asked: list[int] = []
    timeouts = CaptureTimeouts(retry_pause=lambda attempt: asked.append(attempt) or 0.0)
    source = CaptureSource(opener(Device([1], live=True)), "camera 0", retries=4, timeouts=timeouts)
    with source, pytest.raises(SourceError, match="4 attempts to reconnect failed"):
        list(source)
    assert asked == [0, 1, 2, 3]


def test_enter_returns_when_stop_is_set_while_the_device_blocks() -> None:
    release, stop = threading.Event(), threading.Event()

    def blocks() -> Device:
        release.wait(10)
        raise SourceError("too late")

    threading.Timer(0.05, stop.set).start()
    with CaptureSource(blocks, "camera", stop=stop, timeouts=QUICK) as source:
        assert source.read(0.0) is None
    release.set()
    assert source.ended


def test_no_frame_is_delivered_twice_under_load() -> None:
    device = Device((number % 256 for number in range(5000)), live=True)
    source = CaptureSource(opener(device), "camera", retries=0)
    frames, _ = read_all(source)
    assert all(int(frame.image[0, 0, 0]) == frame.sequence % 256 for frame in frames)
    sequences = [frame.sequence for frame in frames]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] == 4999
    assert len(sequences) + source.counts.dropped == 5000
