"""A source with threads of its own, over devices that misbehave on demand; stalls: test_device_stalls.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np
import pytest

from device_apps.sources import keeper
from device_apps.sources.capture import CaptureSource
from device_apps.sources.frames import Frame, Image, SourceCounts
from edge_ssd.errors import SourceError


class Device:
    """Gives what ``pictures`` gives: a number as a one-pixel picture, None as the end, an error as itself."""

    def __init__(self, pictures: Iterable[int | Exception | None], *, live: bool, fps: float | None = None) -> None:
        self.live = live
        self.fps = fps
        self.closed_by: threading.Thread | None = None
        self._pictures = iter(pictures)

    def read(self) -> Image | None:
        picture = next(self._pictures, None)
        if isinstance(picture, Exception):
            raise picture
        return None if picture is None else np.full((1, 1, 3), picture, np.uint8)

    def close(self) -> None:
        self.closed_by = threading.current_thread()


def opener(*devices: Device | Exception) -> Callable[[], Device]:
    """Opens one after another; after the last, opening fails."""
    left = iter(devices)

    def open_next() -> Device:
        device = next(left, SourceError("nothing there"))
        if isinstance(device, Exception):
            raise device
        return device

    return open_next


def short(attempt: int) -> float:
    return 0.01


def take_all(source: CaptureSource) -> tuple[list[Frame], SourceError | None]:
    """Every frame of a source, and the error that it ended with."""
    frames: list[Frame] = []
    try:
        with source:
            frames.extend(source)
    except SourceError as error:
        return frames, error
    return frames, None


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def every_connection_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_STABLE_S", 0.0)


def test_a_recording_gives_every_frame_in_order() -> None:
    device = Device(range(100), live=False, fps=30.0)
    with CaptureSource(opener(device), "clip") as source:
        frames = []
        for frame in source:
            if frame.sequence % 10 == 0:
                time.sleep(0.002)  # A slow reader loses nothing.
            frames.append(frame)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == list(range(100))
    assert [frame.sequence for frame in frames] == list(range(100))
    assert all(first.captured_at <= second.captured_at for first, second in pairwise(frames))
    assert (source.live, source.fps, source.ended) == (False, 30.0, True)
    assert source.counts == SourceCounts(frames=100)


def test_a_live_source_gives_the_newest_frame_and_counts_the_others() -> None:
    taken = threading.Event()

    def pictures() -> Iterator[int]:
        yield from range(50)
        taken.wait(5)
        yield 50

    with CaptureSource(opener(Device(pictures(), live=True)), "camera", retries=0) as source:
        wait_for(lambda: source.counts.dropped == 49)
        newest = source.read(0.0)
        assert newest is not None
        assert (int(newest.image[0, 0, 0]), newest.sequence) == (49, 49)
        assert source.read(0.01) is None, "a frame was given twice"
        taken.set()
        last = source.read(5.0)
        assert last is not None
        assert (last.sequence, source.counts.dropped) == (50, 49)


def test_the_thread_that_opens_a_device_closes_it() -> None:
    device = Device(iter(lambda: 1, None), live=True)
    with CaptureSource(opener(device), "camera") as source:
        next(iter(source))
    assert device.closed_by is not None
    assert device.closed_by.name == "capture camera"
    assert not device.closed_by.is_alive()


@pytest.mark.parametrize("live", [True, False])
def test_leaving_in_the_middle_of_frames_ends_the_thread(live: bool) -> None:
    device = Device(iter(lambda: 1, None), live=live)
    with CaptureSource(opener(device), "camera") as source:
        assert next(iter(source)).sequence >= 0
    assert source.ended
    assert list(source) == []
    assert device.closed_by is not None


def test_a_read_that_blocks_for_ever_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_CLOSE_S", 0.05)
    release = threading.Event()

    def pictures() -> Iterator[int | None]:
        yield 1
        release.wait(10)
        yield None

    device = Device(pictures(), live=True)
    with CaptureSource(opener(device), "camera") as source:
        assert source.read(1.0) is not None
        assert source.read(0.01) is None
        assert not source.ended
    assert source.ended, "left although the device still blocks"
    assert device.closed_by is None, "closed under the feet of the thread that reads"
    release.set()
    wait_for(lambda: device.closed_by is not None)


def test_a_source_that_cannot_be_opened_is_an_error_at_once() -> None:
    source = CaptureSource(opener(SourceError("no camera at /dev/video9")), "camera 9")
    with pytest.raises(SourceError, match=r"^no camera at /dev/video9$"), source:
        pytest.fail("entered")


def test_a_source_without_a_first_picture_is_an_error_at_once() -> None:
    device = Device([], live=True)
    source = CaptureSource(opener(device), "camera 9")
    with pytest.raises(SourceError, match="camera 9: it opens, but gives no picture"), source:
        pytest.fail("entered")
    assert device.closed_by is not None


def test_an_error_inside_a_device_is_reported_not_swallowed() -> None:
    device = Device([1, RuntimeError("bug")], live=False)
    with CaptureSource(opener(device), "clip") as source:
        assert source.read(1.0) is not None
        wait_for(lambda: device.closed_by is not None)
        with pytest.raises(SourceError, match="clip: reading failed: RuntimeError: bug"):
            source.read(1.0)
        assert source.ended


def test_a_recording_that_breaks_off_gives_its_frames_first() -> None:
    device = Device([1, 2, SourceError("clip: cut off")], live=False)
    with CaptureSource(opener(device), "clip") as source:
        assert [source.read(1.0) is not None for _ in range(2)] == [True, True]
        with pytest.raises(SourceError, match="clip: cut off"):
            source.read(1.0)
        assert source.read(0.0) is None, "the error is raised once"


def test_a_lost_camera_comes_back_with_its_count_going_on() -> None:
    lines: list[str] = []
    first, second = Device([1, None], live=True), Device([2, None], live=True)
    missing = SourceError("not yet")
    devices = opener(first, missing, missing, second)
    source = CaptureSource(devices, "camera 0", retries=3, notice=lines.append, pause=short)
    frames, error = take_all(source)
    assert [(frame.sequence, int(frame.image[0, 0, 0])) for frame in frames] == [(0, 1), (1, 2)]
    assert "camera 0: lost, and not back after 3 attempts; check its power" in str(error)
    lost = "lost camera 0; trying to get it back"
    assert lines == [lost, "camera 0 is back", lost]
    assert first.closed_by is not None
    assert second.closed_by is not None


def test_a_camera_that_breaks_off_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_STABLE_S", 5.0)
    asked: list[int] = []
    devices = [Device([number], live=True) for number in range(10)]
    source = CaptureSource(opener(*devices), "snapshot", retries=3, pause=lambda attempt: asked.append(attempt) or 0.0)
    frames, error = take_all(source)
    assert "not back after 3 attempts" in str(error)
    assert asked == [0, 1, 2], "each pause longer than the one before, although there were frames in between"
    assert frames[-1].sequence == 3
    assert source.counts.reconnects == 3


def test_no_retries_means_the_first_loss_is_the_end() -> None:
    with CaptureSource(opener(Device([1], live=True)), "camera 0", retries=0) as source:
        assert source.read(1.0) is not None
        with pytest.raises(SourceError, match="lost, and not back after 0 attempts"):
            source.read(5.0)


def test_every_attempt_has_its_pause() -> None:
    asked: list[int] = []
    source = CaptureSource(
        opener(Device([1], live=True)), "camera 0", retries=4, pause=lambda attempt: asked.append(attempt) or 0.0
    )
    with source, pytest.raises(SourceError, match="not back after 4 attempts"):
        list(source)
    assert asked == [0, 1, 2, 3]


def test_entering_ends_when_stop_is_set_while_the_device_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_CLOSE_S", 0.05)
    release, stop = threading.Event(), threading.Event()

    def blocks() -> Device:
        release.wait(10)
        raise SourceError("too late")

    threading.Timer(0.05, stop.set).start()
    with CaptureSource(blocks, "camera", stop=stop) as source:
        assert source.read(0.0) is None
    release.set()
    assert source.ended


def test_a_frame_is_never_given_twice_under_load() -> None:
    device = Device((number % 256 for number in range(5000)), live=True)
    source = CaptureSource(opener(device), "camera", retries=0)
    frames, _ = take_all(source)
    assert all(int(frame.image[0, 0, 0]) == frame.sequence % 256 for frame in frames)
    sequences = [frame.sequence for frame in frames]
    assert sequences == sorted(set(sequences))
    assert sequences[-1] == 4999
    assert len(sequences) + source.counts.dropped == 5000
