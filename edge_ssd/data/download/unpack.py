"""Unpacking a ZIP archive that a stranger may have made."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from edge_ssd.errors import DataError

__all__ = ["unpack_zip"]

_MAX_UNPACKED = 2 << 30
_MAX_ENTRIES = 20_000


def unpack_zip(archive: Path, folder: Path, max_bytes: int = _MAX_UNPACKED, max_entries: int = _MAX_ENTRIES) -> None:
    """Unpack a ZIP into an existing folder; a folder that holds everything else in the archive is left out.

    Raises DataError, before writing anything, for names that lead outside the folder, for links, and for more
    entries or bytes than the bounds; and for a damaged or encrypted archive.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            if len(entries) > max_entries or sum(entry.file_size for entry in entries) > max_bytes:
                raise DataError(
                    f"{archive}: more than {max_entries} entries or {max_bytes >> 20} MB unpacked: not unpacked"
                )
            paths = [_safe_path(entry, archive) for entry in entries]
            tops = {path.parts[0] for path in paths if path.parts}
            skip = (
                1
                if len(tops) == 1 and all(len(p.parts) > 1 or e.is_dir() for e, p in zip(entries, paths, strict=True))
                else 0
            )
            for entry, path in zip(entries, paths, strict=True):
                target = folder.joinpath(*path.parts[skip:])
                if entry.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                # "x": an archive that names a file twice is refused rather than half obeyed.
                with opened.open(entry) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
        FileExistsError,
    ) as error:
        raise DataError(f"{archive}: not a ZIP archive that can be unpacked ({error}): fetch it again") from None


def _safe_path(entry: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    name = entry.filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise DataError(f"{archive}: its entry {name!r} leads outside the folder: not unpacked")
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{archive}: its entry {name!r} is a link or device, not a file: not unpacked")
    return path
