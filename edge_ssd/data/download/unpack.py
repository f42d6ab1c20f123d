"""Unpacking of untrusted ZIP archives."""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from edge_ssd.errors import DataError

__all__ = ["unpack_zip"]

_MAX_UNPACKED_BYTES = 2 << 30
_MAX_ENTRIES = 20_000
# RuntimeError: encrypted, or (NotImplementedError) of an unknown compression method. ValueError: names. The last ones:
# entries of which one is a file and a folder to the others.
_UNPACKING_ERRORS = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError,
    struct.error, OverflowError, FileExistsError, NotADirectoryError, IsADirectoryError,
)  # fmt: skip


def unpack_zip(
    archive: Path, folder: Path, max_bytes: int = _MAX_UNPACKED_BYTES, max_entries: int = _MAX_ENTRIES
) -> None:
    """Unpack a ZIP archive into an existing folder. A single top-level folder is stripped from the paths.

    Raises:
        DataError: a path is outside the folder, an entry is a link or device, there are more than ``max_entries`` or
            unpacked ``max_bytes`` (all of these before anything is written), or the archive is damaged or encrypted.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            if len(entries) > max_entries or sum(entry.file_size for entry in entries) > max_bytes:
                raise DataError(
                    f"{archive}: more than {max_entries} entries or {max_bytes >> 20} MB unpacked: not unpacked"
                )
            paths = [_safe_path(entry, archive) for entry in entries]
            single_top = len({path.parts[:1] for path in paths} - {()}) == 1
            strip = single_top and all(len(p.parts) > 1 or e.is_dir() for e, p in zip(entries, paths, strict=True))
            for entry, path in zip(entries, paths, strict=True):
                target = folder.joinpath(*path.parts[int(strip) :])
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                # "x": of an archive with two files of one path, neither should be chosen silently.
                with opened.open(entry) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file)
    except _UNPACKING_ERRORS as error:
        raise DataError(f"{archive}: not a ZIP archive that can be unpacked ({error}): download it again") from None


def _safe_path(entry: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    """Return the path of an entry; raise DataError unless it is a file or folder inside the target folder."""
    name = entry.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise DataError(f"{archive}: its entry {name!r} is outside the folder: not unpacked")
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{archive}: its entry {name!r} is a link or device, not a file: not unpacked")
    return path
