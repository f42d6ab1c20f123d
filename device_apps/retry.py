"""Operations that are retried: the pauses between attempts, and the log of failures and recoveries."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

__all__ = ["FailureLog", "backoff"]

_BASE_S, _MAX_S = 0.25, 1.5  # Together with the time to open it, a camera is back within three seconds.


def backoff(
    attempt: int, *, base: float = _BASE_S, maximum: float = _MAX_S, draw: Callable[[], float] = random.random
) -> float:
    """Return the seconds to wait before ``attempt``: ``base``, doubled each time up to ``maximum``, less up to half.

    The random part (jitter) keeps devices that lost the same server from reconnecting all at once. Attempts are counted
    from 0; ``draw`` returns a number in [0, 1).
    """
    longest = min(base * 2.0 ** min(attempt, 30), maximum)
    return longest * (1.0 - 0.5 * draw())


class FailureLog:
    """Logger of an operation that is retried: the first failure is a warning, the recovery is information.

    A device runs for months: an attempt that fails every second must not fill its log.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._cause: str | None = None

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._cause is not None

    def failed(self, message: str, cause: str = "") -> None:
        """Log ``message``, unless the previous attempt failed for the same ``cause``."""
        if cause != self._cause:
            self._cause = cause
            self._logger.warning(message)

    def recovered(self, message: str) -> None:
        """Log ``message`` if the previous attempt failed."""
        if self.failing:
            self._cause = None
            self._logger.info(message)
