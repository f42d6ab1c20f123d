"""Retries of a sink that fails temporarily."""

from __future__ import annotations

import errno
import os
from itertools import pairwise

import pytest
from clocks import Clock
from event_factory import result

from device_apps.results import FrameResult
from device_apps.retrying_sink import RetryingSink, is_transient
from edge_ssd.errors import EdgeSSDError

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Failing:
    """Sink that raises ``error``, if it is set, and counts."""

    finished = False

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.written = self.calls = self.idles = 0

    def write(self, result: FrameResult) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.written += 1

    def idle(self) -> None:
        self.idles += 1


RESULT = result(0.0, 0)


Parts = tuple[Failing, Clock, pytest.LogCaptureFixture, RetryingSink]


@pytest.fixture
def parts(caplog: pytest.LogCaptureFixture) -> Parts:
    """A sink, the clock of its retries, the log, and the sink that retries it."""
    caplog.set_level("INFO")
    sink, clock = Failing(), Clock()
    return sink, clock, caplog, RetryingSink(sink, "seen.jsonl", clock)


def test_results_are_passed_on(parts: Parts) -> None:
    sink, _, log, retrying = parts
    retrying.write(RESULT)
    retrying.idle()
    assert (sink.written, sink.idles, retrying.lost, log.messages, retrying.finished) == (1, 1, 0, [], False)
    sink.finished = True
    assert retrying.finished


def test_failure_and_recovery_are_logged_once(parts: Parts) -> None:
    sink, clock, log, retrying = parts
    sink.error = FULL
    for clock.now in (0.0, 1.0, 9.9, 10.0, 11.0, 29.9):
        retrying.write(RESULT)
    assert sink.calls == 2, "retried at 10 and 30 s"
    sink.error = None
    for clock.now in (29.99, 30.0, 31.0):
        retrying.write(RESULT)
    assert (sink.calls, sink.written, retrying.lost) == (4, 2, 7)
    assert log.messages == [
        "seen.jsonl: No space left on device; detection goes on, retrying in 10 s, then less often",
        "seen.jsonl: writing again; results lost: 7",
    ]


def test_each_failure_is_logged_and_starts_with_a_short_pause(parts: Parts) -> None:
    sink, clock, log, retrying = parts
    for start in (0.0, 1000.0):
        sink.error, clock.now = FULL, start
        retrying.write(RESULT)
        sink.error, clock.now = None, start + 10
        retrying.write(RESULT)
    assert (len(log.messages), retrying.lost, sink.written) == (4, 2, 2)
    assert log.messages[-1].endswith("lost: 1")


def test_pauses_grow_to_ten_minutes(parts: Parts) -> None:
    sink, clock, _, retrying = parts
    sink.error = FULL
    attempts = []
    for clock.now in range(0, 7200, 10):
        before = sink.calls
        retrying.write(RESULT)
        if sink.calls > before:
            attempts.append(clock.now)
    assert attempts[:7] == [0, 10, 30, 70, 150, 310, 630]
    assert all(later - earlier == 600 for earlier, later in pairwise(attempts[7:]))
    assert len(attempts) > 10


@pytest.mark.parametrize("error", [EdgeSSDError("bad"), BrokenPipeError(), OSError(errno.EBADF, "bad"), ValueError()])
def test_permanent_errors_are_raised(parts: Parts, error: Exception) -> None:
    sink, _, log, retrying = parts
    sink.error = error
    with pytest.raises(type(error)):
        retrying.write(RESULT)
    assert log.messages == []


def test_error_is_transient_if_its_cause_is() -> None:
    def wrapped(cause: Exception | None, *, hidden: bool) -> EdgeSSDError:
        try:
            try:
                if cause is not None:
                    raise cause
            except Exception as error:
                raise EdgeSSDError("a.jsonl: cannot be written") from (None if hidden else error)
            raise EdgeSSDError("bad")
        except EdgeSSDError as error:
            return error

    assert is_transient(wrapped(FULL, hidden=True))
    assert is_transient(wrapped(PermissionError(errno.EACCES, "no"), hidden=False))
    assert not is_transient(wrapped(ValueError(), hidden=False))
    assert not is_transient(wrapped(None, hidden=True))
