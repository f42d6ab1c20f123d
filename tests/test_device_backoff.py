"""Exponential backoff with jitter."""

from __future__ import annotations

import random

import pytest

from device_apps.sources.backoff import backoff


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
