"""Devices that block for ever: in a read, in an opening, while another is opened beside them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import numpy as np
import pytest

from device_apps.sources import keeper
from device_apps.sources.capture import CaptureSource
from device_apps.sources.frames import Image
from edge_ssd.errors import SourceError

STALL_S = 0.15


class Camera:
    """Gives a picture each 5 ms; ``freeze`` and ``thaw`` one of them, or the opening of the next."""

    live = True
    fps = None

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = 1
        self.flowing = threading.Event()
        self.flowing.set()
        self.gone = False
        self.closed_by: threading.Thread | None = None

    def read(self) -> Image | None:
        time.sleep(0.005)
        self.flowing.wait(20)
        return None if self.gone else np.full((self.size, self.size, 3), self.number, np.uint8)

    def close(self) -> None:
        self.closed_by = threading.current_thread()


class Bus:
    """Where cameras are opened. Each opening waits for an answer of its own: a camera, or an error."""

    def __init__(self) -> None:
        self.cameras: list[Camera] = []
        self.openings = 0
        self.answers = 0
        self._answers: dict[int, SimpleQueue[SourceError | None]] = defaultdict(SimpleQueue)
        self._lock = threading.Lock()

    def let(self, answer: SourceError | None = None) -> None:
        """Answer the first opening that has no answer yet; it may still be to come."""
        self._answers[self.answers].put(answer)
        self.answers += 1

    def __call__(self) -> Camera:
        with self._lock:
            queue = self._answers[self.openings]
            self.openings += 1
        answer = queue.get(timeout=20)
        if answer is not None:
            raise answer
        with self._lock:
            self.cameras.append(Camera(len(self.cameras)))
            return self.cameras[-1]


@pytest.fixture
def bus() -> Iterator[Bus]:
    """A bus whose stuck threads all come back at the end of the test, and are seen to end."""
    before = threading.active_count()
    bus = Bus()
    yield bus
    while bus.answers < bus.openings:
        bus.let(SourceError("too late"))
    for camera in bus.cameras:
        camera.gone = True
        camera.flowing.set()
    wait_for(lambda: threading.active_count() <= before)
    assert all(camera.closed_by is not None for camera in bus.cameras)


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def number_after(source: CaptureSource, condition: Callable[[int], bool]) -> int:
    """The camera that the first frame for which the condition holds came from."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        frame = source.read(0.1)
        if frame is not None and condition(int(frame.image[0, 0, 0])):
            return int(frame.image[0, 0, 0])
    raise AssertionError("no such frame")


def test_a_read_that_blocks_is_left_behind_and_the_camera_opened_anew(bus: Bus) -> None:
    lines: list[str] = []
    bus.let()
    bus.let()
    with CaptureSource(bus, "camera 0", stall_timeout=STALL_S, notice=lines.append) as source:
        assert source.counts.connected
        bus.cameras[0].flowing.clear()
        assert number_after(source, lambda number: number > 0) == 1
        assert bus.cameras[0].closed_by is None, "closed under the feet of the thread that reads"
        bus.cameras[0].flowing.set()  # What it gives now is old …
        wait_for(lambda: bus.cameras[0].closed_by is not None)
        assert bus.cameras[0].closed_by is not bus.cameras[1].closed_by
        assert {number_after(source, lambda number: True) for _ in range(20)} == {1}, "… and ignored."
        counts = source.counts
        wait_for(lambda: len(lines) == 2)
    assert (counts.stalls, counts.reconnects, counts.abandoned, counts.connected) == (1, 1, 1, True)
    assert lines == ["camera 0 gives no picture for 0.15 s; trying to get it back", "camera 0 is back"]


def test_a_stall_is_counted_and_said_once_however_long_it_is(bus: Bus) -> None:
    lines: list[str] = []
    bus.let()
    with CaptureSource(bus, "camera 0", stall_timeout=STALL_S, notice=lines.append) as source:
        bus.cameras[0].flowing.clear()
        wait_for(lambda: source.counts.abandoned == 3)  # The read, and two openings after it.
        assert not source.counts.connected
        assert source.counts.stalls == 1
        for _ in range(3):
            bus.let()
        assert number_after(source, lambda number: number > 0) > 0
        assert source.counts.connected
        assert source.counts.reconnects == 1
        wait_for(lambda: len(lines) == 2)
    assert [line.rpartition(" ")[2] for line in lines] == ["back", "back"]


def test_a_camera_that_goes_and_then_does_not_answer_has_stalled_once(bus: Bus) -> None:
    bus.let()
    with CaptureSource(bus, "camera 0", stall_timeout=STALL_S, pause=lambda attempt: 0.0) as source:
        bus.cameras[0].gone = True
        wait_for(lambda: source.counts.abandoned == 2)
        assert source.counts.stalls == 1


def test_no_more_than_four_threads_are_ever_stuck(bus: Bus) -> None:
    bus.let()
    with CaptureSource(bus, "camera 0", stall_timeout=0.05) as source:
        bus.cameras[0].flowing.clear()
        wait_for(lambda: source.counts.abandoned == 4)
        time.sleep(0.5)  # Ten times the limit.
        assert bus.openings == 4, "one that reads and three that open"
        bus.let(SourceError("one of them returns at last"))
        wait_for(lambda: bus.openings == 5)


def test_an_exclusive_camera_that_is_stuck_makes_failed_attempts_until_it_is_free(bus: Bus) -> None:
    busy = SourceError("camera 0: /dev/video0 cannot be opened; another program may be using it")
    bus.let()
    for _ in range(5):
        bus.let(busy)
    bus.let()
    with CaptureSource(bus, "camera 0", stall_timeout=STALL_S, pause=lambda attempt: 0.01) as source:
        bus.cameras[0].flowing.clear()
        assert number_after(source, lambda number: number > 0) == 1
        assert bus.openings == 7
        assert source.counts.abandoned == 1


def test_a_camera_that_is_slow_to_open_wins_over_later_attempts(bus: Bus) -> None:
    bus.let()
    with CaptureSource(bus, "camera 0", stall_timeout=STALL_S) as source:
        bus.cameras[0].flowing.clear()
        wait_for(lambda: bus.openings == 3)  # The first of the two new ones has been passed over already.
        bus.let()  # The first of them opens at last …
        assert number_after(source, lambda number: number > 0) == 1
        bus.let()  # … and the other comes too late, and is let go of.
        wait_for(lambda: len(bus.cameras) == 3 and bus.cameras[2].closed_by is not None)
        assert bus.cameras[1].closed_by is None


def test_who_needs_long_to_open_is_given_twice_as_long_as_at_first(bus: Bus) -> None:
    threading.Timer(0.5, bus.let).start()
    with CaptureSource(bus, "camera 0", stall_timeout=0.05, pause=lambda attempt: 0.0) as source:
        bus.cameras[0].gone = True
        wait_for(lambda: bus.openings == 2)
        threading.Timer(0.2, bus.let).start()
        assert number_after(source, lambda number: number > 0) == 1
        assert (bus.openings, source.counts.abandoned) == (2, 0)


def test_attempts_that_are_stuck_count_and_the_last_has_more_time(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_FIRST_FRAME_S", 0.6)
    bus.let()
    with CaptureSource(bus, "camera 0", retries=2, stall_timeout=STALL_S) as source:
        bus.cameras[0].flowing.clear()
        start = time.monotonic()
        with pytest.raises(SourceError, match="camera 0: lost, and not back after 2 attempts"):
            list(source)
        assert time.monotonic() - start > STALL_S + STALL_S + 0.6 - 0.05
        assert bus.openings == 3


def test_waiting_for_one_of_four_stuck_threads_counts_as_attempts_too(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "_FIRST_FRAME_S", 0.1)
    bus.let()
    with CaptureSource(bus, "camera 0", retries=6, stall_timeout=0.05) as source:
        bus.cameras[0].flowing.clear()
        with pytest.raises(SourceError, match="camera 0: lost, and not back after 6 attempts"):
            list(source)
        assert (bus.openings, source.counts.abandoned) == (4, 4)


def test_another_size_after_a_stall(bus: Bus) -> None:
    bus.let()
    with CaptureSource(bus, "camera 0", stall_timeout=STALL_S) as source:
        bus.cameras[0].flowing.clear()
        wait_for(lambda: bus.openings == 2)
        bus.let()
        wait_for(lambda: len(bus.cameras) == 2)
        bus.cameras[1].size = 7
        wait_for(lambda: (frame := source.read(0.1)) is not None and frame.image.shape == (7, 7, 3))


def test_a_recording_may_take_its_time(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Camera, "live", False)
    monkeypatch.setattr(keeper, "_FIRST_FRAME_S", 0.05)
    bus.let()
    with CaptureSource(bus, "clip", stall_timeout=0.05) as source:
        assert source.read(1.0) is not None
        bus.cameras[0].flowing.clear()
        time.sleep(0.3)
        assert source.counts.connected
        bus.cameras[0].flowing.set()
        assert number_after(source, lambda number: True) == 0
        assert (source.counts.stalls, bus.openings) == (0, 1)


def test_a_first_opening_that_blocks_is_an_error_after_a_while(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_FIRST_FRAME_S", 0.2)
    source = CaptureSource(bus, "camera 0")
    with pytest.raises(SourceError, match=r"camera 0: no picture within 0\.2 s; is another program using it"), source:
        pytest.fail("entered")


def test_closing_waits_half_a_second_at_most_for_all_that_are_stuck(bus: Bus) -> None:
    bus.let()
    with CaptureSource(bus, "camera 0", stall_timeout=0.05) as source:
        bus.cameras[0].flowing.clear()
        wait_for(lambda: source.counts.abandoned == 4)
        start = time.monotonic()
    assert 0.4 < time.monotonic() - start < 10.0  # The stuck ones would be waited for 20 s.


def test_stop_ends_a_long_wait_at_once(bus: Bus) -> None:
    stop = threading.Event()
    bus.let()
    with CaptureSource(bus, "camera 0", stop=stop) as source:
        bus.cameras[0].flowing.clear()
        source.read(0.0)
        threading.Timer(0.1, stop.set).start()
        start = time.monotonic()
        while source.read(30.0) is not None:
            pass
        assert time.monotonic() - start < 10


def test_an_error_of_the_library_is_a_loss_like_any_other(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    bus.let()
    bus.let()
    with CaptureSource(bus, "camera 0", notice=lines.append, pause=lambda attempt: 0.0) as source:
        monkeypatch.setattr(bus.cameras[0], "read", lambda: 1 // 0)
        assert number_after(source, lambda number: number > 0) == 1
        wait_for(lambda: len(lines) == 2)
    assert lines == ["lost camera 0 (ZeroDivisionError); trying to get it back", "camera 0 is back"]


def test_a_frame_says_how_long_reading_it_took(bus: Bus) -> None:
    bus.let()
    with CaptureSource(bus, "camera 0") as source:
        frame = source.read(1.0)
    assert frame is not None
    assert 0.005 <= frame.read_seconds < 1.0
