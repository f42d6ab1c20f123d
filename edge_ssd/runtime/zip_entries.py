"""Entries of ZIP files from elsewhere, read with a limit that holds whatever their directory states."""

from __future__ import annotations

import contextlib
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator

__all__ = ["ZIP_ERRORS", "open_zip", "read_entry"]

ZIP_ERRORS = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, NotImplementedError),
    *(RuntimeError, OSError, ValueError, KeyError, OverflowError),
)
"""Exceptions of :mod:`zipfile` for damaged, encrypted and unsupported files, and of this module."""

_MAX_ENTRIES = 10_000


@contextlib.contextmanager
def open_zip(path: str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP file; raise one of :data:`ZIP_ERRORS` if it cannot be read or has entries beyond all need."""
    with zipfile.ZipFile(path) as archive:
        if len(archive.infolist()) > _MAX_ENTRIES:
            raise ValueError(f"its archive has {len(archive.infolist())} entries")
        yield archive


def read_entry(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Return the content of an entry of at most ``limit`` bytes; raise one of :data:`ZIP_ERRORS` if it has more."""
    info = archive.getinfo(name)
    if info.file_size > limit:
        raise ValueError(f"its entry {name!r} has {info.file_size} bytes, more than {limit}")
    with archive.open(info) as file:
        content = file.read(limit + 1)
    if len(content) != info.file_size:
        raise ValueError(f"its entry {name!r} does not have the stated size")
    return content
