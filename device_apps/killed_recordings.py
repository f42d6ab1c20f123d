"""Recordings of processes that were killed: kept, as far as they can be played."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import time
from pathlib import Path
from typing import Any

from device_apps.mp4_fragments import end_of_fragments
from edge_ssd.atomic_write import is_running

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["is_recording", "keep_killed_recordings", "lock_recording", "unused_path"]

_log = logging.getLogger(__name__)

_SETTLED_S = 10.0  # A recording is locked within this time after its file is made.


def lock_recording(file: Any) -> None:
    """Mark an open file as being recorded, until it is closed: also for processes of other containers."""
    if fcntl is not None:
        with contextlib.suppress(OSError):  # A file system without locks.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def keep_killed_recordings(path: Path) -> None:
    """Rename what killed processes left of the recording ``path``, to "seen-2.mp4" and so on; remove the rest.

    Each is logged. Errors of the file system are none of the new recording's.
    """
    if fcntl is None:
        return
    # As edge_ssd.atomic_write names them; a recording after a full disk has a number.
    name = re.compile(rf"\.{re.escape(path.stem)}(?:-\d+)?\.(\d+)-[0-9a-f]{{8}}(\.part)?{re.escape(path.suffix)}")
    try:
        leftovers = [(match, entry) for entry in path.parent.iterdir() if (match := name.fullmatch(entry.name))]
    except OSError:
        return
    for match, entry in sorted(leftovers, key=lambda found: found[1].name):
        with contextlib.suppress(OSError):
            is_part = match[2] is not None
            if (
                entry.is_file()
                and not entry.is_symlink()
                and not is_recording(entry, int(match[1]), is_locked=not is_part)
            ):
                _keep(entry, path, is_part=is_part)


def is_recording(path: Path, process_id: int, *, is_locked: bool = True) -> bool:
    """Return whether a process writes a temporary file that is named after it; raise OSError if it cannot be read.

    ``is_locked`` is whether it locks the file until it is complete, or completes it within seconds.
    """
    # The process of another container cannot be asked; and after a restart, this one may have the number of the killed.
    if fcntl is not None:
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    if process_id == os.getpid():
        return False
    # After a restart of the machine, any process may have the number of the killed one.
    if is_locked and abs(time.time() - path.stat().st_mtime) > _SETTLED_S:
        return False
    return is_running(process_id)


def unused_path(path: Path) -> Path:
    """Return "seen-2.mp4" for "seen.mp4", or the next number whose file does not exist."""
    return next(name for number in itertools.count(2) if not (name := path.with_stem(f"{path.stem}-{number}")).exists())


def _keep(leftover: Path, path: Path, *, is_part: bool) -> None:
    end = 0 if is_part else _playable_end(leftover)
    if not end:
        leftover.unlink()
        if not is_part:
            _log.warning("%s: a recording of a killed process cannot be played; removed", path)
        return
    os.truncate(leftover, end)
    target = unused_path(path)
    leftover.rename(target)
    _log.warning("%s: a recording of a killed process is kept as %s", path, target)


def _playable_end(path: Path) -> int:
    """Return the size of the part that can be played: of an MP4 file its complete fragments, otherwise all."""
    if path.suffix.lower() != ".mp4":
        return path.stat().st_size
    with path.open("rb") as file:
        return end_of_fragments(file)
