"""A sink that fails for a while."""

from __future__ import annotations

import errno
import os
from itertools import pairwise

import numpy as np
import pytest
from device_fake import RedDetector

from device_apps.results import FrameResult
from device_apps.retrying_sink import RetryingSink, is_transient
from device_apps.sources.frames import Frame
from edge_ssd.errors import EdgeSSDError

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Failing:
    """Raises what it is told to, else counts."""

    finished = False

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.written = self.asked = self.idles = 0

    def write(self, result: FrameResult) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        self.written += 1

    def idle(self) -> None:
        self.idles += 1


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def result() -> FrameResult:
    image = np.zeros((5, 5, 3), np.uint8)
    return FrameResult(Frame(image, 0, 0.0, "frame"), RedDetector().detect(image), {})


@pytest.fixture
def parts() -> tuple[Failing, Clock, list[str], RetryingSink]:
    sink, clock, lines = Failing(), Clock(), list[str]()
    return sink, clock, lines, RetryingSink(sink, "seen.jsonl", lines.append, clock)


def test_a_sink_that_works_is_left_alone(parts: tuple[Failing, Clock, list[str], RetryingSink]) -> None:
    sink, _, lines, healing = parts
    healing.write(result())
    healing.idle()
    assert (sink.written, sink.idles, healing.lost, lines, healing.finished) == (1, 1, 0, [], False)
    sink.finished = True
    assert healing.finished


def test_one_line_when_it_fails_and_one_when_it_is_back(parts: tuple[Failing, Clock, list[str], RetryingSink]) -> None:
    sink, clock, lines, healing = parts
    sink.error = FULL
    for clock.now in (0.0, 1.0, 9.9, 10.0, 11.0, 29.9):
        healing.write(result())
    assert sink.asked == 2, "tried at 0 and 10 s, the third time only at 30"
    sink.error = None
    for clock.now in (29.99, 30.0, 31.0):
        healing.write(result())
    assert (sink.asked, sink.written, healing.lost) == (4, 2, 7)
    assert lines == [
        "seen.jsonl: No space left on device; detection goes on, and this is tried again in 10 s, then less often",
        "seen.jsonl: is written again; results left out meanwhile: 7",
    ]


def test_each_outage_is_said_and_begins_with_short_waits(parts: tuple[Failing, Clock, list[str], RetryingSink]) -> None:
    sink, clock, lines, healing = parts
    for start in (0.0, 1000.0):
        sink.error, clock.now = FULL, start
        healing.write(result())
        sink.error, clock.now = None, start + 10
        healing.write(result())
    assert (len(lines), healing.lost, sink.written) == (4, 2, 2)
    assert lines[-1].endswith("meanwhile: 1")


def test_it_is_tried_at_least_every_ten_minutes(parts: tuple[Failing, Clock, list[str], RetryingSink]) -> None:
    sink, clock, _, healing = parts
    sink.error = FULL
    tried = []
    for clock.now in range(0, 7200, 10):
        before = sink.asked
        healing.write(result())
        if sink.asked > before:
            tried.append(clock.now)
    assert tried[:7] == [0, 10, 30, 70, 150, 310, 630]
    assert all(later - earlier == 600 for earlier, later in pairwise(tried[7:]))
    assert len(tried) > 10


@pytest.mark.parametrize("error", [EdgeSSDError("bad"), BrokenPipeError(), OSError(errno.EBADF, "bad"), ValueError()])
def test_what_cannot_heal_is_raised(parts: tuple[Failing, Clock, list[str], RetryingSink], error: Exception) -> None:
    sink, _, lines, healing = parts
    sink.error = error
    with pytest.raises(type(error)):
        healing.write(result())
    assert lines == []


def test_our_own_error_heals_like_the_one_it_was_made_from() -> None:
    def made(cause: Exception | None, *, hidden: bool) -> EdgeSSDError:
        try:
            try:
                if cause is not None:
                    raise cause
            except Exception as error:
                raise EdgeSSDError("a.jsonl: cannot be written") from (None if hidden else error)
            raise EdgeSSDError("bad")
        except EdgeSSDError as error:
            return error

    assert is_transient(made(FULL, hidden=True))
    assert is_transient(made(PermissionError(errno.EACCES, "no"), hidden=False))
    assert not is_transient(made(ValueError(), hidden=False))
    assert not is_transient(made(None, hidden=True))
