"""Detection of truncated video files from the sizes in their containers.

Decoders stop at a truncation without an error, and the frame count of a container is an estimate for many formats.
So the sizes that RIFF/AVI, MP4/QuickTime and Matroska/WebM store are compared with the size of the file. Other
containers are not checked.

Sources: RIFF, Microsoft "Multimedia Programming Interface and Data Specifications 1.0"; ISO/IEC 14496-12 §4.2
(boxes); RFC 8794 (EBML) §4–6.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["truncation_error"]

_MAX_BOXES = 100_000  # More top-level boxes than any fragmented recording has; bounds the work on an invalid file.
_SEGMENT = b"\x18\x53\x80\x67"  # EBML id of the segment, the element that contains a Matroska file.


def truncation_error(path: Path) -> str | None:
    """Return why a video file is incomplete ("it is truncated: …"), or None if it is not. Raises OSError."""
    size = path.stat().st_size
    if size == 0:
        return "it is empty"
    with path.open("rb") as file:
        head = file.read(12)
        file.seek(0)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            return _size_error(_riff_end(file, size), size)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            end, kinds = _boxes(file, size)
            if end <= size and b"moov" not in kinds:
                return "its index ('moov') is missing, so its recording never finished"
            return _size_error(end, size)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _size_error(_matroska_end(file, size), size)
    return None


def _size_error(end: int | None, size: int) -> str | None:
    return f"it is truncated: {size} of {end} bytes" if end is not None and end > size else None


def _riff_end(file: BinaryIO, size: int) -> int:
    """Return the offset at which the last RIFF chunk ends; recordings over 1 GB have several."""
    end = 0
    for _ in range(_MAX_BOXES):
        file.seek(end)
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            break
        end += 8 + int(struct.unpack("<I", head[4:])[0])
        if end > size:
            break
    return end


def _boxes(file: BinaryIO, size: int) -> tuple[int, set[bytes]]:
    """Return the offset at which the last top-level box ends, and the kinds of the boxes."""
    end, kinds = 0, set()
    for _ in range(_MAX_BOXES):
        if end >= size:
            break
        file.seek(end)
        head = file.read(16)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head[:8])
        kinds.add(kind)
        if length == 0:  # The box extends to the end of the file.
            break
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length < 8:
            break
        end += length
    return end, kinds


def _matroska_end(file: BinaryIO, size: int) -> int | None:
    """Return the offset at which the segment ends, or None when its size is unknown, as in live recordings."""
    file.seek(4)
    header = _vint(file)
    if header is None:
        return None
    segment = file.tell() + header
    if segment > size:
        return segment
    file.seek(segment)
    if file.read(4) != _SEGMENT:
        return None
    length = _vint(file)
    return None if length is None else file.tell() + length


def _vint(file: BinaryIO) -> int | None:
    """Read a variable-length integer (RFC 8794 §4); None if it is "unknown" or invalid."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    tail = file.read(length - 1)
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - length)) - 1)]) + tail, "big")
    return None if len(tail) < length - 1 or value == (1 << (7 * length)) - 1 else value
