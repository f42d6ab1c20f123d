"""ZIP archives whose bytes depend on their content alone: dated 1980-01-01 (ZIP's zero)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

__all__ = ["stored_zip"]

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_LEVEL = 9  # stated, so that the bytes are not the library's choice
_UNIX = 3  # ZipInfo would note the system it runs on
_READABLE = 0o100644 << 16


def stored_zip(entries: Mapping[str, bytes], start: int = 0, packed: bool = False) -> bytes:
    """A ZIP archive to be put at byte ``start`` of a file: its directory counts from the file's beginning.

    Entries are stored, as readers of TFLite metadata want them, or deflated where ``packed``.
    """
    file = io.BytesIO(bytes(start))
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "a") as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, _ZIP_EPOCH)
            info.create_system, info.external_attr = _UNIX, _READABLE
            archive.writestr(info, data, method, _LEVEL if packed else None)
    return file.getvalue()[start:]
