"""Reader of the ZIP archive at the end of a bundle, with every size bounded before it is used.

Only the subset that this project writes is read: one disk, no archive comment, no encryption, no ZIP64, entries stored
or deflated. :mod:`zipfile` would take longer to import than the whole bundle takes to read. Arrays are read by a parser
of the one ``.npy`` header that NumPy writes for plain arrays: nothing is evaluated, and nothing is allocated before the
header matches the number of bytes.
Sources: PKWARE APPNOTE 6.3.9, sections 4.3.7, 4.3.12 and 4.3.16; NumPy's ``numpy.lib.format``, version 1.0.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.errors import BundleError

__all__ = ["MAX_ENTRIES", "Archive", "ArrayMismatchError", "read_archive", "read_array"]

MAX_ENTRIES = 64
_MAX_DIRECTORY = 64 * 1024
_END = struct.Struct("<4s4H2LH")  # signature, disks and entry counts, directory's size and offset, comment's length
# Signature, versions, flags, method, time and date, CRC-32, packed and unpacked size, lengths of name, extra field
# and comment, disk, attributes, offset of the local header.
_RECORD = struct.Struct("<4s2H2H4s3L3H2HLL")
_LOCAL = struct.Struct("<4sH2H4s3L2H")  # signature, version, flags, method, time and date, CRC-32, sizes, lengths
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)"
    rb"\{'descr': '([<|][a-z]\d)', 'fortran_order': False, 'shape': \(([0-9, ]{0,64})\), \} *\n",
    re.DOTALL,
)


class ArrayMismatchError(BundleError):
    """An array has another dtype or shape than expected."""


class Archive(NamedTuple):
    """Archive at the end of a file: the offset of its first byte, and the content of the requested entries by name."""

    start: int
    entries: dict[str, bytes]


class _Record(NamedTuple):
    """Record of the central directory: name, compression, sizes and offset of an entry."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def read_archive(data: bytes, limits: Mapping[str, int], *, deflated: bool = False) -> Archive:
    """Read entries of the ZIP archive at the end of ``data``, the bytes of a file.

    Args:
        limits: name → maximum unpacked bytes of the entries to read. Missing entries are missing in the result.
        deflated: accept deflated entries too; otherwise all must be stored.

    Raises:
        BundleError: the archive is missing, damaged, exceeds a limit, or is not as this project writes it.
    """
    records = list(_directory(data))
    if not records or len({record.name for record in records}) != len(records):
        raise BundleError("its archive is empty or holds an entry twice")
    entries = {}
    for record in records:
        if record.method != _STORED and not (deflated and record.method == _DEFLATED):
            raise BundleError(f"its entry {record.name!r} is compressed; entries must be stored")
        if record.name in limits:
            if record.size > limits[record.name]:
                limit = limits[record.name]
                raise BundleError(f"its entry {record.name!r} has {record.size} bytes, more than {limit}")
            entries[record.name] = _content(data, record)
    return Archive(min(record.offset for record in records), entries)


def _directory(data: bytes) -> Iterator[_Record]:
    """Yield the records of the central directory, which lies between the last entry and the end record."""
    if len(data) < _END.size or data[-_END.size :][:4] != b"PK\x05\x06":
        raise BundleError("it does not end with an archive")
    _, disk, first_disk, disk_entries, entries, size, position, comment = _END.unpack(data[-_END.size :])
    if entries > MAX_ENTRIES or disk_entries != entries or size > _MAX_DIRECTORY or comment or disk or first_disk:
        raise BundleError(f"its archive claims {entries} entries in a directory of {size} bytes")
    if position + size != len(data) - _END.size:
        raise BundleError("its archive is damaged (the directory is not where it should be)")
    end = position + size
    for _ in range(entries):
        if end - position < _RECORD.size:
            raise BundleError("its archive is damaged (the directory is cut short)")
        fields = _RECORD.unpack_from(data, position)
        signature, _, _, flags, method, _, crc, packed, unpacked, name, extra, comment, _, _, _, offset = fields
        start, position = position + _RECORD.size, position + _RECORD.size + name + extra + comment
        if signature != b"PK\x01\x02" or position > end:
            raise BundleError("its archive is damaged (a record of the directory has a wrong signature)")
        text = data[start : start + name].decode("utf-8", "replace")
        yield _Record(text, flags, method, crc, packed, unpacked, offset)
    if position != end:
        raise BundleError("its archive is damaged (the directory is longer than its entries)")


def _content(data: bytes, record: _Record) -> bytes:
    """Return the bytes of one entry, whose size has been checked."""
    import zlib

    damaged = f"its archive is damaged (entry {record.name!r}"
    if len(data) - record.offset < _LOCAL.size or record.flags & _ENCRYPTED:
        raise BundleError(f"{damaged} is cut short or encrypted)")
    signature, _, _, method, _, _, _, _, name, extra = _LOCAL.unpack_from(data, record.offset)
    start = record.offset + _LOCAL.size
    own_name = data[start : start + name].decode("utf-8", "replace")
    start += name + extra
    if signature != b"PK\x03\x04" or method != record.method or own_name != record.name:
        raise BundleError(f"{damaged} is not where the directory says)")
    content = data[start : start + record.packed]
    if record.method == _DEFLATED:
        unpack = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # Unpacks at most one byte more than stated, enough to detect excess.
            content = unpack.decompress(content, record.size + 1)
        except zlib.error as error:
            raise BundleError(f"{damaged}: {error})") from None
    if len(content) != record.size or zlib.crc32(content) != record.crc:
        raise BundleError(f"{damaged}: its size or checksum is wrong)")
    return content


def read_array(data: bytes, name: str, dtype: str, shape: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """Return the bytes of a ``.npy`` file as a read-only array; ``name`` stands in the message of an error.

    Another dtype than ``dtype`` ("<f4") or another shape than ``shape``, where None is any length, raises
    ArrayMismatchError, damaged bytes another BundleError.
    """
    match = _NPY.match(data[:256])
    if match is None or match.end() != 10 + int.from_bytes(match[1], "little"):
        raise BundleError(f"{name} is not a plain .npy array")
    actual_dtype = match[2].decode()
    actual_shape = tuple(int(size) for size in match[3].replace(b" ", b"").split(b",") if size)
    matches = len(actual_shape) == len(shape) and all(
        expected in (None, actual) for expected, actual in zip(shape, actual_shape, strict=True)
    )
    if actual_dtype != dtype or not matches:
        expected = f"{dtype} of shape {list(shape)}".replace("None", "any")
        raise ArrayMismatchError(f"{name} is {actual_dtype} of shape {list(actual_shape)}, expected {expected}")
    size = math.prod(actual_shape) * np.dtype(dtype).itemsize
    if len(data) - match.end() != size:
        raise BundleError(f"{name} needs {size} bytes of numbers, has {len(data) - match.end()}")
    return np.frombuffer(data, dtype, offset=match.end()).reshape(actual_shape)
