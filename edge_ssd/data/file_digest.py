"""Hash of a file's content."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["file_digest"]

_BLOCK_BYTES = 1 << 20


def file_digest(path: Path) -> bytes | None:
    """Return a hash, 16 bytes, of a file's content; None if it cannot be read."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return None
    return digest.digest()
