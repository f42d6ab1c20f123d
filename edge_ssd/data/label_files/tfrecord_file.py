"""TFRecord files of ``tf.train.Example``, read without TensorFlow.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord for the framing, and
https://protobuf.dev/programming-guides/encoding for the message. The checksum of a record's length is verified, so that
damage is found; that of its data is not: it would take longer than everything else.
"""

from __future__ import annotations

import gzip
import mmap
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from edge_ssd.data.label_files.file_limits import (
    MAX_LABEL_MEGABYTES_VARIABLE,
    UnsuitableFileError,
    max_label_bytes,
    open_label_file,
)
from edge_ssd.errors import DataError

__all__ = ["Example", "Feature", "masked_crc", "read_examples"]

Feature = list[memoryview] | list[float] | list[int]
Example = Mapping[str, Feature]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CRC_MASK_DELTA = 0xA282EAD8


def _crc_table() -> list[int]:
    """Return the table of CRC-32C, whose polynomial is 0x1EDC6F41 (reversed below)."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC_TABLE = _crc_table()


def read_examples(path: Path) -> Iterator[Example | str]:
    """Yield the features of every record, or for a damaged one what is wrong.

    The file is mapped into memory: bytes that are not used are not read, unless the file is compressed. Nothing follows
    damage of the framing.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with open_label_file(path) as file:
            if not path.stat().st_size:
                return
            # Closed with the last view of it, which the caller may hold.
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            if bytes(view[:2]) == b"\x1f\x8b":
                view = _decompress(file)
    except UnsuitableFileError as error:
        yield f"{error}"
        return
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield f"damaged compression ({error})"
        return
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions") from None
    position = number = 0
    while position < len(view):
        number += 1
        header = view[position : position + 12]
        if len(header) < 12 or masked_crc(bytes(header[:8])) != struct.unpack("<I", header[8:])[0]:
            yield f"damaged at record {number}, which has no valid length"
            return
        (length,) = struct.unpack("<Q", header[:8])
        record = view[position + 12 : position + 12 + length]
        position += 12 + length + 4
        if position > len(view):
            yield f"ends within record {number}"
            return
        try:
            yield _parse_example(record)
        except (ValueError, IndexError, struct.error) as error:
            yield f"record {number} is no tf.train.Example ({error})"


def _decompress(file: BinaryIO) -> memoryview:
    """Return the content of a gzip file; raise UnsuitableFileError if it is larger than a label file may be."""
    limit = max_label_bytes()
    with gzip.GzipFile(fileobj=file) as unpacked:
        content = unpacked.read(limit + 1)
    if len(content) > limit:
        raise UnsuitableFileError(
            f"unpacks to more than {limit // 1_000_000} MB: unpack it with gunzip, or allow more with the environment "
            f"variable {MAX_LABEL_MEGABYTES_VARIABLE}"
        )
    return memoryview(content)


def masked_crc(data: bytes) -> int:
    """Return the masked CRC-32C of a TFRecord."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + _CRC_MASK_DELTA) & 0xFFFFFFFF


def _parse_example(record: memoryview) -> Example:
    """Return the features of a serialized ``tf.train.Example``."""
    features: dict[str, Feature] = {}
    for field, message in _fields(record):
        for entry_field, entry in _fields(message) if field == 1 and isinstance(message, memoryview) else ():
            if entry_field == 1 and isinstance(entry, memoryview):
                parts = dict(_fields(entry))
                key, value = parts.get(1), parts.get(2)
                if isinstance(key, memoryview) and isinstance(value, memoryview):
                    features[bytes(key).decode("utf-8")] = _parse_feature(value)
    return features


def _parse_feature(message: memoryview) -> Feature:
    """Return the list in a ``tf.train.Feature``: bytes, floats or integers."""
    for kind, content in _fields(message):
        if not isinstance(content, memoryview):
            raise ValueError("expected a list")
        values = [value for field, value in _fields(content) if field == 1]
        if kind == 1:
            return [value for value in values if isinstance(value, memoryview)]
        numbers: list[float] = []
        for value in values:
            if isinstance(value, int):  # not packed: a varint, or the bits of a float
                numbers += [value] if kind == 3 else struct.unpack("<f", value.to_bytes(4, "little"))
            elif kind == 2:
                numbers += struct.unpack(f"<{len(value) // 4}f", value)
            else:
                position = 0
                while position < len(value):
                    number, position = _varint(value, position)
                    numbers.append(number)
        return numbers if kind == 2 else [_signed(int(number)) for number in numbers]
    return []


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield the number and the value of every field: bytes as a view, others as an unsigned integer."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        field, wire_type = key >> 3, key & 7
        if wire_type == _VARINT:
            value, position = _varint(message, position)
            yield field, value
            continue
        length = {_FIXED64: 8, _FIXED32: 4}.get(wire_type)
        if length is None:
            if wire_type != _BYTES:
                raise ValueError(f"wire type {wire_type}")
            length, position = _varint(message, position)
        content = message[position : position + length]
        if len(content) < length:
            raise ValueError("message ends within a field")
        position += length
        yield field, content if wire_type == _BYTES else int.from_bytes(content, "little")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return a variable-length integer and the position after it."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("integer too long")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
