"""How long to wait before asking again for what was not there."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["backoff"]

_FIRST_S, _LONGEST_S = 0.25, 1.5  # With the time that opening takes, a camera is back within three seconds.


def backoff(
    attempt: int,
    *,
    first_s: float = _FIRST_S,
    longest_s: float = _LONGEST_S,
    draw: Callable[[], float] = random.random,
) -> float:
    """Seconds to wait before attempt 0, 1, 2, …: doubled each time up to a limit, of which half is left to chance.

    Chance keeps many devices that lost the same server from coming back to it all at once.

    Args:
        attempt: how many have failed before, from 0.
        first_s: the longest wait before attempt 0.
        longest_s: the longest wait at all.
        draw: a number in [0, 1).
    """
    longest = min(first_s * 2.0 ** min(attempt, 30), longest_s)
    return longest * (1.0 - 0.5 * draw())
