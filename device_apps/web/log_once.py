"""Log a repeating fault once: a preview may be broken for months beside a camera loop that works."""

from __future__ import annotations

import logging
from collections.abc import Callable

__all__ = ["log_once"]


def log_once(logger: logging.Logger) -> Callable[[str], None]:
    """Return a function that logs its first message as a warning and ignores the others."""
    logged = False

    def warn(message: str) -> None:
        nonlocal logged
        if not logged:
            logged = True
            logger.warning("%s", message)

    return warn
