"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["atomic_path", "check_writable", "naming"]

# A full disk is reported without a name, since it is not the file's fault.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; on success it is renamed over ``path``, on any error removed.

    The temporary name keeps the suffix, since some writers go by it, and is unique, so that two writers of one
    path do not mix: the last to finish wins, whole. Parent folders are made. Raises OSError as the system does,
    but naming ``path``.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}-{secrets.token_hex(4)}{target.suffix}")
    with naming(target, temporary):
        try:
            yield temporary
            # On disk before it gets its name: a power cut leaves the old file or the new one, never an empty one.
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(target: Path, temporary: Path) -> Iterator[None]:
    """Let an OSError about ``temporary``, or something in it, name ``target``: the user never heard of the other."""
    try:
        yield
    except OSError as error:
        about = None if error.filename is None else Path(os.fsdecode(error.filename))
        if (error.errno in _FULL) if about is None else about.is_relative_to(temporary):
            error.filename, error.filename2 = os.fspath(target), None
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """See that a file can be written at ``path``, before a long work is done for it; leaves nothing behind.

    Raises OSError, naming the folder in the way or ``path``, as writing would.
    """
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
