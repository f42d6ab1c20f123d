"""Log lines on standard error while a command runs."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from pathlib import PurePath

from edge_ssd.console.redact import redact
from edge_ssd.console.status_line import above_status_line
from edge_ssd.console.text import printable

__all__ = ["log_to_stderr", "verbosity_level"]

PACKAGES = ("edge_ssd", "converters", "device_apps")
"""The loggers that a command shows. The root logger and those of other libraries are left alone."""


class _Formatter(logging.Formatter):
    """``edge-ssd: message`` for information, with the level before the message for everything else."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        # One line: a name in it cannot add another message.
        return printable(redact(super().formatMessage(record), self._files(record)))

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        origin = f"[{record.name}] " if record.levelno <= logging.DEBUG else ""
        text = printable(redact(super().format(record), self._files(record)), lines=True)
        return f"edge-ssd: {level}{origin}{text}"

    @staticmethod
    def _files(record: logging.LogRecord) -> list[str]:
        """Return the paths that the message was made of."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        return [str(argument) for argument in arguments if isinstance(argument, PurePath)]


class _Handler(logging.StreamHandler):  # type: ignore[type-arg] # Python 3.10 cannot subscript it
    """Writes above the progress that a terminal shows."""

    def emit(self, record: logging.LogRecord) -> None:
        with above_status_line(self.stream):
            super().emit(record)


def verbosity_level(verbose: bool, quiet: bool) -> int:
    """Return the logging level for ``--verbose`` (DEBUG), ``--quiet`` (WARNING) or neither (INFO)."""
    if verbose:
        return logging.DEBUG
    return logging.WARNING if quiet else logging.INFO


@contextlib.contextmanager
def log_to_stderr(level: int) -> Iterator[None]:
    """Write this project's log messages of at least ``level`` to standard error while the context is entered."""
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Formatter())
    loggers = [logging.getLogger(name) for name in PACKAGES]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, old in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(old)
