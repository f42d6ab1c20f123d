"""Buffer of one frame between a thread that puts and one that takes."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from device_apps.sources.latest_frame import LatestFrameBuffer
from edge_ssd.errors import SourceError

BLACK = np.zeros((1, 1, 3), np.uint8)


@pytest.fixture
def buffer() -> LatestFrameBuffer:
    return LatestFrameBuffer("camera", threading.Event())


def test_newer_frame_replaces_older_one(buffer: LatestFrameBuffer) -> None:
    for second in range(3):
        buffer.put(BLACK, float(second), 0.5, blocking=False)
    frame = buffer.take(0.0)
    assert (frame.sequence, frame.captured_at, frame.read_seconds, frame.name) == (2, 2.0, 0.5, "camera")
    assert buffer.take(0.0) is None, "a frame was returned twice"
    assert buffer.counts == (3, 2)


def test_blocking_put_waits_until_the_frame_is_taken(buffer: LatestFrameBuffer) -> None:
    buffer.put(BLACK, 0.0, 0.0, blocking=True)
    thread = threading.Thread(target=buffer.put, args=(BLACK, 1.0, 0.0), kwargs={"blocking": True})
    thread.start()
    time.sleep(0.05)
    assert buffer.counts == (1, 0)
    assert [buffer.take(5.0).sequence for _ in range(2)] == [0, 1]  # type: ignore[union-attr]
    thread.join(5)
    assert buffer.counts == (2, 0)


def test_take_returns_the_frame_then_raises_the_error_once(buffer: LatestFrameBuffer) -> None:
    buffer.put(BLACK, 0.0, 0.0, blocking=False)
    buffer.end(SourceError("gone"))
    buffer.end(None)  # The first end counts.
    assert buffer.take(0.0) is not None
    assert not buffer.ended
    with pytest.raises(SourceError, match=r"^gone$"):
        buffer.take(0.0)
    assert buffer.ended
    assert buffer.take(0.0) is None


def test_closed_buffer_is_empty_and_never_blocks(buffer: LatestFrameBuffer) -> None:
    buffer.put(BLACK, 0.0, 0.0, blocking=True)
    putting = threading.Thread(target=buffer.put, args=(BLACK, 1.0, 0.0), kwargs={"blocking": True})
    putting.start()
    buffer.close()
    putting.join(5)
    assert not putting.is_alive()
    buffer.put(BLACK, 2.0, 0.0, blocking=False)
    assert buffer.take(60.0) is None
    assert buffer.ended


def test_wait_returns_when_stop_is_already_set() -> None:
    stop = threading.Event()
    stop.set()
    buffer = LatestFrameBuffer("camera", stop)
    buffer.wait()
    assert buffer.take(60.0) is None
    assert not buffer.ended
