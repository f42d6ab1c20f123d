"""The watchdog over devices that block in a read or while they are opened."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from clocks import wait_until
from source_errors import assert_enter_fails

from device_apps.sources.capture import CaptureSource
from device_apps.sources.capture_state import TRANSITIONS, CaptureState
from device_apps.sources.frames import Image
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.errors import SourceError

STALL_S = 0.15


def limits(stall: float = STALL_S, retry_pause: float | None = None, **others: float) -> CaptureTimeouts:
    """Return short time limits; retries pause for a constant time, if one is given."""
    timeouts = CaptureTimeouts(stall=stall, **others)  # type: ignore[arg-type]
    return timeouts if retry_pause is None else replace(timeouts, retry_pause=lambda attempt: retry_pause)


class Camera:
    """Camera that delivers an image of its number every 5 ms, while ``flowing`` is set."""

    fps = None

    def __init__(self, number: int, live: bool) -> None:
        self.number = number
        self.live = live
        self.time = None
        self.failing = False
        self.size = 1
        self.flowing = threading.Event()
        self.flowing.set()
        self.gone = False
        self.closed_by: threading.Thread | None = None

    def read(self) -> Image | None:
        time.sleep(0.005)
        self.flowing.wait(20)
        if self.failing:
            raise ZeroDivisionError
        return None if self.gone else np.full((self.size, self.size, 3), self.number, np.uint8)

    def close(self) -> None:
        self.closed_by = threading.current_thread()


class Bus:
    """Opens cameras. Each opening waits for an answer of its own: a camera, or an error.

    Attributes:
        live: of the cameras.
        cameras: those that were opened.
        openings: number of calls.
        answers: number of answers.
    """

    def __init__(self) -> None:
        self.live = True
        self.cameras: list[Camera] = []
        self.openings = 0
        self.answers = 0
        self._answers: dict[int, SimpleQueue[SourceError | None]] = defaultdict(SimpleQueue)
        self._lock = threading.Lock()

    def answer(self, answer: SourceError | None = None) -> None:
        """Answer the first opening that has no answer yet, which may be a future one."""
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
            self.cameras.append(Camera(len(self.cameras), self.live))
            return self.cameras[-1]


@pytest.fixture
def bus() -> Iterator[Bus]:
    """Bus whose stuck threads all return at the end of the test; checks that they end."""
    before = threading.active_count()
    bus = Bus()
    yield bus
    while bus.answers < bus.openings:
        bus.answer(SourceError("too late"))
    for camera in bus.cameras:
        camera.gone = True
        camera.flowing.set()
    wait_until(lambda: threading.active_count() <= before)
    assert all(camera.closed_by is not None for camera in bus.cameras)


def number_after(source: CaptureSource, condition: Callable[[int], bool]) -> int:
    """Return the number of the camera of the next frame for which the condition holds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        frame = source.read(0.1)
        if frame is not None and condition(int(frame.image[0, 0, 0])):
            return int(frame.image[0, 0, 0])
    raise AssertionError("no such frame")


@contextmanager
def streaming(bus: Bus, *, stuck: bool = False, **options: Any) -> Iterator[CaptureSource]:
    """Enter a source whose first opening succeeds; with ``stuck``, its reads then block."""
    bus.answer()
    with CaptureSource(bus, "camera 0", **options) as source:
        if stuck:
            bus.cameras[0].flowing.clear()
        yield source


@pytest.mark.parametrize("state", CaptureState)
def test_states_can_be_closed_and_stalled_ends_only_by_a_frame(state: CaptureState) -> None:
    assert (CaptureState.CLOSED in TRANSITIONS[state]) == (state is not CaptureState.CLOSED)
    assert TRANSITIONS[CaptureState.STALLED] == {CaptureState.STREAMING, CaptureState.CLOSED}


def test_watchdog_abandons_a_read_that_blocks_and_reopens(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bus.answer()
    with streaming(bus, timeouts=limits()) as source:
        assert source.counts.connected
        bus.cameras[0].flowing.clear()
        assert number_after(source, lambda number: number > 0) == 1
        assert bus.cameras[0].closed_by is None, "closed while another thread reads it"
        bus.cameras[0].flowing.set()  # Its frames are old now …
        wait_until(lambda: bus.cameras[0].closed_by is not None)
        assert bus.cameras[0].closed_by is not bus.cameras[1].closed_by
        assert {number_after(source, lambda number: True) for _ in range(20)} == {1}, "… and discarded."
        counts = source.counts
        wait_until(lambda: len(caplog.messages) == 2)
    assert (counts.stalls, counts.reconnects, counts.abandoned, counts.connected) == (1, 1, 1, True)
    assert caplog.messages == ["camera 0: no frame for 0.15 s; reconnecting", "camera 0: is back, reconnected"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_long_stall_is_counted_and_logged_once(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with streaming(bus, stuck=True, timeouts=limits()) as source:
        wait_until(lambda: source.counts.abandoned == 3)  # The read, and two openings after it.
        assert not source.counts.connected
        assert source.counts.stalls == 1
        for _ in range(3):
            bus.answer()
        assert number_after(source, lambda number: number > 0) > 0
        assert source.counts.connected
        assert source.counts.reconnects == 1
        wait_until(lambda: len(caplog.messages) == 2)
    assert [line.rpartition(" ")[2] for line in caplog.messages] == ["reconnecting", "reconnected"]


def test_lost_camera_that_hangs_while_reopened_stalls_once(bus: Bus) -> None:
    with streaming(bus, timeouts=limits(retry_pause=0.0)) as source:
        bus.cameras[0].gone = True
        wait_until(lambda: source.counts.abandoned == 2)
        assert source.counts.stalls == 1


def test_watchdog_runs_at_most_four_threads(bus: Bus) -> None:
    with streaming(bus, stuck=True, timeouts=limits(0.05)) as source:
        wait_until(lambda: source.counts.abandoned == 4)
        time.sleep(0.5)  # Ten times the limit.
        assert bus.openings == 4, "one that reads and three that open"
        bus.answer(SourceError("one of them returns at last"))
        wait_until(lambda: bus.openings == 5)


def test_camera_that_is_slower_than_the_stall_timeout_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    class SlowCamera:
        """One image, then none for longer than the stall timeout."""

        live, fps, time = True, None, None

        def __init__(self) -> None:
            self.count = 0

        def read(self) -> np.ndarray:
            if self.count:
                time.sleep(0.15)
            self.count += 1
            return np.zeros((1, 1, 3), np.uint8)

        def close(self) -> None:
            pass

    with CaptureSource(SlowCamera, "camera 0", timeouts=limits(0.05)) as source:
        wait_until(lambda: source.counts.reconnects >= 8)
    *before, advice = caplog.messages
    assert before == ["camera 0: no frame for 0.05 s; reconnecting", "camera 0: is back, reconnected"] * 2
    assert advice.startswith("camera 0: one frame in each connection")
    assert "give --stall-timeout SECONDS, three times the time between two frames" in advice


def test_capture_ends_when_every_thread_hangs(bus: Bus) -> None:
    with streaming(bus, stuck=True, timeouts=limits(0.05, stuck=0.4)) as source:
        with pytest.raises(SourceError, match="4 attempts to read it hang in its driver or library; restart"):
            list(source)
        assert (bus.openings, source.counts.abandoned) == (4, 4)


def test_capture_goes_on_when_a_thread_returns_in_time(bus: Bus) -> None:
    with streaming(bus, stuck=True, timeouts=limits(0.05, stuck=0.4, retry_pause=0.0)) as source:
        for number in range(5, 9):
            time.sleep(0.2)
            bus.answer(SourceError("one of them returns"))
            wait_until(lambda number=number: bus.openings >= number)
        assert not source.ended


def test_watchdog_retries_while_an_exclusive_camera_is_busy(bus: Bus) -> None:
    busy = SourceError("camera 0: /dev/video0 cannot be opened; another program may be using it")
    bus.answer()
    for _ in range(5):
        bus.answer(busy)
    with streaming(bus, stuck=True, timeouts=limits(retry_pause=0.01)) as source:
        assert number_after(source, lambda number: number > 0) == 1
        assert bus.openings == 7
        assert source.counts.abandoned == 1


def test_slow_opening_wins_over_later_attempts(bus: Bus) -> None:
    with streaming(bus, stuck=True, timeouts=limits()) as source:
        wait_until(lambda: bus.openings == 3)  # The first attempt has timed out already.
        bus.answer()  # The first attempt succeeds …
        assert number_after(source, lambda number: number > 0) == 1
        bus.answer()  # … and the second is too late and is closed.
        wait_until(lambda: len(bus.cameras) == 3 and bus.cameras[2].closed_by is not None)
        assert bus.cameras[1].closed_by is None


def test_reopening_may_take_twice_as_long_as_the_first_opening(bus: Bus) -> None:
    threading.Timer(0.5, bus.answer).start()
    with CaptureSource(bus, "camera 0", timeouts=limits(0.05, retry_pause=0.0)) as source:
        bus.cameras[0].gone = True
        wait_until(lambda: bus.openings == 2)
        threading.Timer(0.2, bus.answer).start()
        assert number_after(source, lambda number: number > 0) == 1
        assert (bus.openings, source.counts.abandoned) == (2, 0)


def test_stuck_attempts_count_as_retries_and_the_last_one_has_more_time(bus: Bus) -> None:
    with streaming(bus, stuck=True, retries=2, timeouts=limits(first_frame=0.6)) as source:
        start = time.monotonic()
        with pytest.raises(SourceError, match="camera 0: lost, and 2 attempts to reconnect failed"):
            list(source)
        assert time.monotonic() - start > STALL_S + STALL_S + 0.6 - 0.05
        assert bus.openings == 3


def test_waiting_for_a_free_thread_counts_as_an_attempt(bus: Bus) -> None:
    with streaming(bus, stuck=True, retries=6, timeouts=limits(0.05, first_frame=0.1)) as source:
        with pytest.raises(SourceError, match="camera 0: lost, and 6 attempts to reconnect failed"):
            list(source)
        assert (bus.openings, source.counts.abandoned) == (4, 4)


def test_image_size_may_change_after_a_stall(bus: Bus) -> None:
    with streaming(bus, stuck=True, timeouts=limits()) as source:
        wait_until(lambda: bus.openings == 2)
        bus.answer()
        wait_until(lambda: len(bus.cameras) == 2)
        bus.cameras[1].size = 7
        wait_until(lambda: (frame := source.read(0.1)) is not None and frame.image.shape == (7, 7, 3))


def test_recording_has_no_time_limit(bus: Bus) -> None:
    bus.live = False
    bus.answer()
    with CaptureSource(bus, "clip", timeouts=limits(0.05, first_frame=0.05)) as source:
        assert source.read(1.0) is not None
        bus.cameras[0].flowing.clear()
        time.sleep(0.3)
        assert source.counts.connected
        bus.cameras[0].flowing.set()
        assert number_after(source, lambda number: True) == 0
        assert (source.counts.stalls, bus.openings) == (0, 1)


def test_first_opening_that_blocks_raises_after_the_timeout(bus: Bus) -> None:
    expected = r"camera 0: no frame within 0\.2 s; is another program using it"
    assert_enter_fails(expected, CaptureSource, bus, "camera 0", timeouts=limits(first_frame=0.2))


def test_exit_waits_at_most_half_a_second_for_stuck_threads(bus: Bus) -> None:
    with streaming(bus, stuck=True, timeouts=limits(0.05)) as source:
        wait_until(lambda: source.counts.abandoned == 4)
        start = time.monotonic()
    assert 0.4 < time.monotonic() - start < 10.0  # The stuck ones would be waited for 20 s.


def test_stop_ends_a_long_read(bus: Bus) -> None:
    stop = threading.Event()
    with streaming(bus, stuck=True, stop=stop) as source:
        source.read(0.0)
        threading.Timer(0.1, stop.set).start()
        start = time.monotonic()
        while source.read(30.0) is not None:
            pass
        assert time.monotonic() - start < 10


def test_error_of_the_library_counts_as_a_loss(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bus.answer()
    with streaming(bus, timeouts=limits(2.0, retry_pause=0.0)) as source:
        bus.cameras[0].failing = True
        assert number_after(source, lambda number: number > 0) == 1
        wait_until(lambda: len(caplog.messages) == 2)
    assert caplog.messages == ["lost camera 0 (ZeroDivisionError); reconnecting", "camera 0: is back, reconnected"]


def test_frame_has_the_time_of_reading_it(bus: Bus) -> None:
    with streaming(bus) as source:
        frame = source.read(1.0)
    assert 0.005 <= frame.read_seconds < 1.0
