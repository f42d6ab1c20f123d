"""File that keeps the totals of zones and lines over restarts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from device_apps.background_writer import BackgroundWriter
from device_apps.zones.totals import Totals
from edge_ssd.atomic_write import atomic_path
from edge_ssd.errors import DataError, EdgeSSDError

__all__ = ["CountsFile"]

_PERIOD_S = 5.0  # Between two writes, each of which is synced: an SD card lasts for years.
_MAX_BYTES = 10_000_000

_log = logging.getLogger(__name__)


class CountsFile:
    """File of the totals, written atomically in a background thread, at most every five seconds and at the end.

    Args:
        path: of the file; missing parent folders are created. A damaged file is renamed, with a warning.
        check: write it at once, to find out whether that is possible.

    Attributes:
        totals: those of the file, which the monitor goes on counting.

    Raises:
        EdgeSSDError: the file cannot be read or written.
    """

    def __init__(self, path: Path, *, check: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = str(path)
        self._path = path
        self._clock = clock
        self.totals = _read(path)
        self._text = self.totals.to_json()
        self._saved_version = self.totals.version
        self._saved_at = -_PERIOD_S
        self._waiting = False  # A write is queued, or repeated.
        try:
            if check:
                self._write(True)
        except OSError as error:
            raise EdgeSSDError(
                f"{path}: cannot keep counts here: {error.strerror}; name another file with --counts-file"
            ) from None
        self._writer: BackgroundWriter[bool] = BackgroundWriter(self.name, self._write, 1)

    @property
    def lost(self) -> int:
        """0: a write that failed is repeated with the latest totals."""
        return 0

    @property
    def failure(self) -> BrokenPipeError | EdgeSSDError | None:
        """The error that should end the program, or None."""
        return self._writer.failure

    def update(self) -> None:
        """Have changed totals written, if the last write is long enough ago; called with each frame."""
        if self._clock() - self._saved_at >= _PERIOD_S:
            self.save()

    def save(self) -> None:
        """Have changed totals written now, without waiting for it."""
        if self.totals.version == self._saved_version:
            return
        self._text = self.totals.to_json()
        self._saved_version = self.totals.version
        self._saved_at = self._clock()
        if not self._waiting:
            self._waiting = True
            self._writer.put(True)

    def close(self, deadline: float) -> None:
        """Write changed totals until ``deadline`` (``time.monotonic()``); further calls do nothing."""
        self.save()
        self._writer.close(deadline)

    def _write(self, item: bool) -> None:
        """Write the latest totals; an item only wakes the thread."""
        self._waiting = False
        try:
            with atomic_path(self._path) as temporary:
                temporary.write_text(self._text, encoding="utf-8")
        except OSError:
            self._waiting = True  # The writer repeats it.
            raise


def _read(path: Path) -> Totals:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError("is not a file of counts")
        return Totals.from_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Totals()
    except OSError as error:
        raise EdgeSSDError(f"{path}: cannot be read: {error.strerror}; name another file with --counts-file") from None
    except (DataError, UnicodeDecodeError) as error:
        reason = str(error) if isinstance(error, DataError) else "is not text"
        aside = path.with_name(f"{path.name}.damaged")
        try:
            path.replace(aside)
        except OSError as failure:
            raise EdgeSSDError(
                f"{path}: {reason}, and cannot be renamed: {failure.strerror}; name another file with --counts-file"
            ) from None
        _log.warning("%s: %s; renamed to %s, counts start from 0", path, reason, aside.name)
        return Totals()
