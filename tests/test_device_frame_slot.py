"""Room for one frame between a thread that puts and one that takes."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from device_apps.sources.latest_frame import LatestFrameBuffer
from edge_ssd.errors import SourceError

BLACK = np.zeros((1, 1, 3), np.uint8)


@pytest.fixture
def slot() -> LatestFrameBuffer:
    return LatestFrameBuffer("camera", threading.Event())


def test_a_newer_frame_takes_the_place_of_an_older_one(slot: LatestFrameBuffer) -> None:
    for second in range(3):
        slot.put(BLACK, float(second), 0.5, in_turn=False)
    frame = slot.take(0.0)
    assert frame is not None
    assert (frame.sequence, frame.captured_at, frame.read_seconds, frame.name) == (2, 2.0, 0.5, "camera")
    assert slot.take(0.0) is None, "a frame was given twice"
    assert slot.counted == (3, 2)


def test_in_turn_a_frame_waits_until_the_one_before_has_been_taken(slot: LatestFrameBuffer) -> None:
    slot.put(BLACK, 0.0, 0.0, in_turn=True)
    thread = threading.Thread(target=slot.put, args=(BLACK, 1.0, 0.0), kwargs={"in_turn": True})
    thread.start()
    time.sleep(0.05)
    assert slot.counted == (1, 0)
    assert [slot.take(5.0).sequence for _ in range(2)] == [0, 1]  # type: ignore[union-attr]
    thread.join(5)
    assert slot.counted == (2, 0)


def test_the_frame_comes_before_the_error_and_the_error_once(slot: LatestFrameBuffer) -> None:
    slot.put(BLACK, 0.0, 0.0, in_turn=False)
    slot.end(SourceError("gone"))
    slot.end(None)  # What it ended with first counts.
    assert slot.take(0.0) is not None
    assert not slot.ended
    with pytest.raises(SourceError, match=r"^gone$"):
        slot.take(0.0)
    assert slot.ended
    assert slot.take(0.0) is None


def test_nothing_comes_out_of_a_closed_one_and_nobody_waits_at_it(slot: LatestFrameBuffer) -> None:
    slot.put(BLACK, 0.0, 0.0, in_turn=True)
    putting = threading.Thread(target=slot.put, args=(BLACK, 1.0, 0.0), kwargs={"in_turn": True})
    putting.start()
    slot.close()
    putting.join(5)
    assert not putting.is_alive()
    slot.put(BLACK, 2.0, 0.0, in_turn=False)
    assert slot.take(60.0) is None
    assert slot.ended


def test_a_stop_that_comes_first_is_not_waited_for() -> None:
    stop = threading.Event()
    stop.set()
    slot = LatestFrameBuffer("camera", stop)
    slot.wait()
    assert slot.take(60.0) is None
    assert not slot.ended
