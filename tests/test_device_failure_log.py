"""Logging of the first of repeated failures and of the recovery."""

from __future__ import annotations

import logging

import pytest

from device_apps.failure_log import FailureLog


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
