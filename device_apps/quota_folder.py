"""Folder whose files of one kind are limited in size and age: the oldest are deleted, other files are never touched."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from device_apps.killed_recordings import is_recording
from device_apps.sinks import make_folder

__all__ = ["QuotaFolder"]

_log = logging.getLogger(__name__)

_FREE_BYTES = 100 * 1024 * 1024  # are left to the rest of the system


class _File(NamedTuple):
    """File, and when it was written: of this run by a clock that is never set, ``time.monotonic()``.

    Many boards begin in the past, until they have the time of the network.
    """

    size: int
    written: float
    of_this_run: bool

    @property
    def age(self) -> float:
        """Seconds since it was written."""
        return (time.monotonic() if self.of_this_run else time.time()) - self.written


class QuotaFolder:
    """Files of a folder whose name has a certain form; created if it is missing.

    Temporary files of :func:`~edge_ssd.atomic_write.atomic_path`, which a process left that was killed or did not wait
    for a write, are deleted, or get their name if they are of use, which is logged. Used by one thread at a time.

    Args:
        name: form of the names of finished files, which sort by time.
        max_bytes: the oldest files are deleted when all together exceed it.
        max_age: seconds after which a file is deleted; None for no limit.
        is_usable: returns whether a file is of use though it is not complete; None for none that is.

    Raises:
        EdgeSSDError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        name: re.Pattern[str],
        max_bytes: int,
        max_age: float | None = None,
        is_usable: Callable[[Path], bool] | None = None,
    ) -> None:
        make_folder(folder)
        self.path = folder
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._name = name
        self._files: dict[Path, _File] = {}  # oldest first
        self._total_bytes = 0
        for path in sorted(folder.iterdir()):
            target = _target_of_left_over(path, name)
            if target is not None:
                _keep_or_delete(path, target, is_usable)
        for path in sorted(folder.iterdir()):
            if name.fullmatch(path.name) and path.is_file():
                with contextlib.suppress(FileNotFoundError):  # Another program deleted it.
                    status = path.stat()
                    self._set(path, _File(status.st_size, status.st_mtime, of_this_run=False))
        self.make_room(0)

    def add(self, path: Path) -> None:
        """Count a file that was written, or written again."""
        self._set(path, _File(path.stat().st_size, time.monotonic(), of_this_run=True))

    def make_room(self, new_bytes: int) -> None:
        """Delete what is too old, and the oldest until so many bytes more respect the limit and the free space."""
        if self._max_age is not None:
            for path in [path for path, file in self._files.items() if file.age > self._max_age]:
                self._delete(path)
        while self._files and self._total_bytes + new_bytes > self._max_bytes:
            self._delete(next(iter(self._files)))
        while self._files and self._free_bytes() < _FREE_BYTES + new_bytes:
            self._delete(next(iter(self._files)))

    def find(self, name: str) -> Path | None:
        """Return the path of a file of this folder, None if the name has another form or there is no such file.

        Any thread may call it.
        """
        if not self._name.fullmatch(name):
            return None
        path = self.path / name
        try:
            return path if stat.S_ISREG(path.lstat().st_mode) else None
        except OSError:
            return None

    def _free_bytes(self) -> int:
        try:
            return shutil.disk_usage(self.path).free
        except FileNotFoundError:  # Not made again here: its disk may be away.
            raise FileNotFoundError(errno.ENOENT, "the folder is gone; make it again", str(self.path)) from None

    def _set(self, path: Path, file: _File) -> None:
        before = self._files.get(path)
        self._files[path] = file
        self._total_bytes += file.size - (0 if before is None else before.size)

    def _delete(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._total_bytes -= self._files.pop(path).size


def _target_of_left_over(path: Path, name: re.Pattern[str]) -> Path | None:
    """Return the path that a temporary file of a process that has ended was written for; None for any other file."""
    match = re.fullmatch(r"\.(.+)\.(\d+)-[0-9a-f]{8}(\.\w+)", path.name, re.ASCII)
    if match is None or not name.fullmatch(match[1] + match[3]):
        return None
    try:
        return None if is_recording(path, int(match[2])) else path.with_name(match[1] + match[3])
    except OSError:
        return None


def _keep_or_delete(path: Path, target: Path, is_usable: Callable[[Path], bool] | None) -> None:
    if is_usable is not None and not target.exists():
        if is_usable(path):
            path.rename(target)
            _log.warning("%s: was not finished when its program ended; what was written of it is kept", target)
            return
        _log.warning("%s: was not finished when its program ended, and nothing of it can be shown; deleted", target)
    path.unlink(missing_ok=True)
