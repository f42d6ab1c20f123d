"""Text file that is rotated at a maximum size."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from pathlib import Path

from edge_ssd.errors import EdgeSSDError

__all__ = ["RotatingFile"]

_log = logging.getLogger(__name__)


class RotatingFile:
    """File of lines; when it is full, NAME becomes NAME.1, NAME.1 becomes NAME.2, and the oldest is deleted.

    Each line is one ``write``, so that a reader never sees two lines mixed. If the process is killed during a write,
    the file ends in an incomplete line, which is cut off when the file is opened again. If the disk is full during a
    write, the incomplete line is removed at once.

    Args:
        path: of the newest lines; missing parent folders are created. Raises EdgeSSDError if it cannot be written.
        max_bytes: size at which the file is rotated.
        backup_count: number of older files that are kept.
    """

    def __init__(self, path: Path, max_bytes: int, backup_count: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backup_count = backup_count
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            removed = _truncate_incomplete_line(path)
            self._descriptor = self._open()
        except OSError as error:
            raise EdgeSSDError(f"{path}: cannot write to this file: {error.strerror}; name another one") from None
        if removed:
            _log.warning("%s: removed an incomplete last line (%d bytes)", path, removed)

    def write(self, line: str) -> None:
        """Append ``line`` and a newline. Raises OSError if that fails; nothing of the line is in the file then."""
        data = f"{line}\n".encode()
        status = os.fstat(self._descriptor)
        size = status.st_size
        if not status.st_nlink:  # The file was deleted.
            self._reopen()
            size = 0
        if size and size + len(data) > self._max_bytes:
            self._rotate()
            size = 0
        written = os.write(self._descriptor, data)
        if written != len(data):  # The disk became full.
            os.ftruncate(self._descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _rotate(self) -> None:
        def backup(number: int) -> Path:
            return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

        if not self._backup_count:
            self._path.unlink(missing_ok=True)
        # Rename only up to the first unused number: this also completes a rotation that a kill interrupted.
        unused = (number for number in range(1, self._backup_count) if not backup(number).exists())
        for number in range(next(unused, self._backup_count), 0, -1):
            with contextlib.suppress(FileNotFoundError):
                backup(number - 1).replace(backup(number))
        self._reopen()

    def _reopen(self) -> None:
        previous, self._descriptor = self._descriptor, self._open()
        os.close(previous)


def _truncate_incomplete_line(path: Path) -> int:
    """Remove what follows the last line break of a file, if it exists; return the number of bytes removed."""
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - 4096)
            file.seek(start)
            line_break = file.read(end - start).rfind(b"\n")
            if line_break >= 0:
                end = start + line_break + 1
                break
            end = start
        if end < size:
            file.truncate(end)
        return size - end
    return 0
