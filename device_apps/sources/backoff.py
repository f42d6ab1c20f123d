"""Exponential backoff with jitter."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["backoff"]

_BASE_S, _MAX_S = 0.25, 1.5  # Together with the time to open it, a camera is back within three seconds.


def backoff(
    attempt: int, *, base: float = _BASE_S, maximum: float = _MAX_S, draw: Callable[[], float] = random.random
) -> float:
    """Return the pause before an attempt: ``base`` seconds, doubled each time up to ``maximum``, less up to half.

    The random part (jitter) keeps devices that lost the same server from reconnecting all at once.

    Args:
        attempt: number of attempts that have failed, from 0.
        base: longest pause before attempt 0, in seconds.
        maximum: longest pause, in seconds.
        draw: returns a number in [0, 1).

    Returns:
        Seconds, from half the longest pause of this attempt to all of it.
    """
    longest = min(base * 2.0 ** min(attempt, 30), maximum)
    return longest * (1.0 - 0.5 * draw())
