"""ZIP archives whose bytes depend on their content alone: stored, dated 1980-01-01 (ZIP's zero)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

__all__ = ["stored_zip"]

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3  # ZipInfo would note the system it runs on
_READABLE = 0o100644 << 16


def stored_zip(entries: Mapping[str, bytes], start: int = 0) -> bytes:
    """A ZIP archive to be put at byte ``start`` of a file: its directory counts from the file's beginning."""
    file = io.BytesIO(bytes(start))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, _ZIP_EPOCH)
            info.create_system, info.external_attr = _UNIX, _READABLE
            archive.writestr(info, data)
    return file.getvalue()[start:]
