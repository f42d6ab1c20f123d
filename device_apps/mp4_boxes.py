"""Boxes of MP4 files.

Source: ISO/IEC 14496-12, §4.2 (boxes), §8.2.2 (mvhd), §8.3.2 (tkhd), §8.4.2 (mdhd).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

__all__ = ["CONTAINERS", "box", "duration_offset", "iter_boxes", "iter_file_boxes", "iter_leaves", "timescale"]

CONTAINERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"})
"""Kinds of boxes that consist of boxes."""

_WIDE_HEADER = 16  # bytes of a box header with a 64-bit size


def iter_file_boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and stated end of each box of a file that no box contains, until a size is not valid."""
    size = file.seek(0, 2)
    start = 0
    while start + 8 <= size:
        file.seek(start)
        head = file.read(_WIDE_HEADER)
        length, kind = struct.unpack_from(">I4s", head)
        if length == 1:
            (length,) = struct.unpack(">Q", head[8:].ljust(8, b"\0"))
        if length < 8:
            return
        yield kind, start, start + length
        start += length


def iter_boxes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield kind, offset of the content, and content of each box; raise ValueError if their sizes do not fit."""
    offset = 0
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        head = 8
        if size == 1 and offset + _WIDE_HEADER <= len(data):
            (size,) = struct.unpack_from(">Q", data, offset + 8)
            head = _WIDE_HEADER
        if not head <= size <= len(data) - offset:
            raise ValueError("its index is damaged")
        yield kind, offset + head, data[offset + head : offset + size]
        offset += size


def iter_leaves(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each box that is no container, in the containers too."""
    for kind, _, body in iter_boxes(data):
        if kind in CONTAINERS:
            yield from iter_leaves(body)
        else:
            yield kind, body


def box(kind: bytes, body: bytes) -> bytes:
    """Return a box."""
    return struct.pack(">I4s", 8 + len(body), kind) + body


def timescale(header: bytes) -> int:
    """Return the units per second that the content of "mvhd" or "mdhd" states."""
    (units,) = struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)  # Version 1 has 64-bit times.
    return int(units)


def duration_offset(kind: bytes, header: bytes) -> int:
    """Return where the content of "mvhd", "mdhd" or "tkhd" has its duration, which in version 1 has 64 bits."""
    return {b"mdhd": (16, 24), b"mvhd": (16, 24), b"tkhd": (20, 28)}[kind][header[0] == 1]
