"""ZIP archives whose bytes depend only on their content: every entry is dated 1980-01-01, the first date of ZIP."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

__all__ = ["stored_zip"]

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_LEVEL = 9  # explicit, so that the bytes do not depend on the library's default
_UNIX = 3  # ZipInfo's default depends on the operating system
_READABLE = 0o100644 << 16


def stored_zip(entries: Mapping[str, bytes], start: int = 0, deflated: bool = False) -> bytes:
    """Return a ZIP archive of ``entries``, file name → content, in their order.

    Args:
        start: byte of the file at which the archive is placed; the offsets in its directory include it.
        deflated: compress the entries. Readers of TFLite metadata need uncompressed ones.
    """
    file = io.BytesIO(bytes(start))
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "a") as archive:
        for name, data in entries.items():
            info = zipfile.ZipInfo(name, _ZIP_EPOCH)
            info.create_system, info.external_attr = _UNIX, _READABLE
            archive.writestr(info, data, method, _LEVEL if deflated else None)
    return file.getvalue()[start:]
