"""Logging of an operation that is retried: its first failure and its recovery, not every attempt."""

from __future__ import annotations

import logging

__all__ = ["FailureLog"]


class FailureLog:
    """Logger of an operation that is retried: the first failure is a warning, the recovery is information.

    A device runs for months: an attempt that fails every second must not fill its log.

    Args:
        logger: the logger of the module that retries.
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
