"""Atomic writing: a reader sees the old file or the new one, and a new folder complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edge_ssd.errors import DataError

__all__ = ["atomic_directory", "atomic_path", "check_writable", "is_nonempty", "is_running"]

# The system reports these errors of a full disk without a file name.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file atomically: yield a temporary path, which replaces ``path`` on success and is removed on error.

    The temporary name keeps the suffix, which some writers need, and is unique, so that concurrent writers of one
    path do not mix: the last to finish wins. Parent folders are created. An OSError names ``path``.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}-{secrets.token_hex(4)}{target.suffix}")
    with _naming(target, temporary):
        try:
            yield temporary
            # Synced before the rename: a power cut leaves the old file or the new one, never an empty one.
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _naming(target: Path, temporary: Path) -> Iterator[None]:
    """Make an OSError about ``temporary``, or a path in it, name ``target``, which is the path that the user knows."""
    try:
        yield
    except OSError as error:
        about = None if error.filename is None else Path(os.fsdecode(error.filename))
        if (error.errno in _FULL) if about is None else about.is_relative_to(temporary):
            error.filename, error.filename2 = os.fspath(target), None
        raise


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Create a folder atomically: yield a temporary one, which is renamed to ``path`` on success and removed on error.

    What a killed process of this machine left of the same folder is removed first.

    Raises DataError if ``path`` exists and is not an empty folder.
    """
    target = Path(path)
    if is_nonempty(target):
        raise DataError(f"{target}: is not an empty folder: remove it, or choose another with --to")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    temporary = target.parent / f".{target.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    with _naming(target, temporary):
        temporary.mkdir()
        try:
            yield temporary
            if target.is_dir():
                target.rmdir()
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _remove_leftovers(target: Path) -> None:
    """Remove the temporary folders of ``target`` whose process does not exist any more."""
    if os.name != "posix":  # elsewhere, a signal cannot ask whether a process exists
        return
    # The process of another machine, which writes to the same disk, cannot be asked either.
    name = re.compile(rf"\.{re.escape(target.name)}\.{_machine()}-(\d+)-[0-9a-f]{{8}}")
    try:
        paths = list(target.parent.iterdir())
    except OSError:  # a folder that may be written and not listed
        return
    for path in paths:
        match = name.fullmatch(path.name)
        if match is not None and path.is_dir() and not is_running(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)


def _machine() -> str:
    """Return eight digits that differ between machines and containers."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def is_running(process_id: int) -> bool:
    """Return whether a process of this machine exists, also one of another user: the owner of a temporary file."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user
        return True
    return True


def is_nonempty(folder: Path) -> bool:
    """Return whether ``folder`` exists and is not an empty folder; True also for a file or a broken link."""
    return (folder.exists() or folder.is_symlink()) and (not folder.is_dir() or any(folder.iterdir()))


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise OSError if a file cannot be written at ``path``; create nothing, so that it can precede long work."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(target))
    folder = target.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(folder))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        error.filename = os.fspath(target)
        raise
