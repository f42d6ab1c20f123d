"""Atomic creation of folders: they appear complete or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from edge_ssd.errors import DataError
from edge_ssd.files import naming

__all__ = ["atomic_directory", "is_nonempty"]


def is_nonempty(folder: Path) -> bool:
    """Return whether ``folder`` exists and is anything but an empty folder."""
    return (folder.exists() or folder.is_symlink()) and (not folder.is_dir() or any(folder.iterdir()))


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success it is renamed to ``path``, on any error removed.

    Raises:
        DataError: ``path`` exists and is not an empty folder; nothing is overwritten.
    """
    target = Path(path)
    if is_nonempty(target):
        raise DataError(f"{target}: is not an empty folder: remove it, or choose another with --to")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}"
    with naming(target, temporary):
        temporary.mkdir()
        try:
            yield temporary
            if target.is_dir():
                target.rmdir()
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
