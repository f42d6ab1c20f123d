"""Exponential backoff with jitter, and the log of the first of repeated failures and of the recovery."""

from __future__ import annotations

import logging
import random

import pytest

from device_apps.retry import FailureLog, backoff


def test_pauses_double_up_to_the_maximum() -> None:
    longest = [backoff(attempt, draw=lambda: 0.0) for attempt in range(6)]
    assert longest == [0.25, 0.5, 1.0, 1.5, 1.5, 1.5]


@pytest.mark.parametrize(("draw", "pause"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)])
def test_jitter_is_up_to_half_of_a_pause(draw: float, pause: float) -> None:
    assert backoff(1, base=0.5, maximum=8.0, draw=lambda: draw) == pause


def test_pauses_vary_within_their_limits() -> None:
    draw = random.Random(1).random
    pauses = [backoff(9, draw=draw) for _ in range(200)]
    assert len(set(pauses)) > 190
    assert 0.75 <= min(pauses) < 0.8 < 1.45 < max(pauses) <= 1.5


def test_large_attempt_numbers_do_not_overflow() -> None:
    assert backoff(10**9, draw=lambda: 0.0) == 1.5


def test_failure_log_logs_the_first_failure_and_the_recovery(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    failures = FailureLog(logging.getLogger("test"))
    failures.recovered("no failure before")
    for message in ("first: 100%", "second"):
        failures.failed(message)
    assert failures.failing
    failures.recovered("works again")
    assert not failures.failing
    failures.failed("third")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "first: 100%"),
        ("INFO", "works again"),
        ("WARNING", "third"),
    ]


def test_failure_log_logs_each_change_of_cause(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailureLog(logging.getLogger("test"))
    for cause in ("unreachable", "unreachable", "refused", "unreachable"):
        failures.failed(f"broker: {cause}", cause)
    assert caplog.messages == ["broker: unreachable", "broker: refused", "broker: unreachable"]
