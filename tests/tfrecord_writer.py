"""Writer of TFRecord files of ``tf.train.Example``, without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edge_ssd.data.label_files.tfrecord_file import masked_crc

__all__ = ["Values", "serialize_example", "write_records"]

Values = Sequence[bytes] | Sequence[float] | Sequence[int]


def write_records(path: Path, examples: Iterable[Mapping[str, Values]], packed: bool = True) -> None:
    """Write a TFRecord file; ``packed`` is the encoding of lists of numbers, of which protobuf has two."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for example in examples:
            data = serialize_example(example, packed)
            length = struct.pack("<Q", len(data))
            file.write(length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data[:64])))


def serialize_example(features: Mapping[str, Values], packed: bool = True) -> bytes:
    entries = (
        _field(1, _field(1, key.encode()) + _field(2, _feature(values, packed))) for key, values in features.items()
    )
    return _field(1, b"".join(entries))


def _feature(values: Values, packed: bool) -> bytes:
    if not values:
        return b""
    if isinstance(values[0], bytes):
        return _field(1, b"".join(_field(1, value) for value in values if isinstance(value, bytes)))
    is_float = isinstance(values[0], float)
    with np.errstate(over="ignore"):  # 1e300 becomes infinite
        parts = [np.float32(value).tobytes() if is_float else _varint(int(value) % 2**64) for value in values]
    if packed:
        return _field(2 if is_float else 3, _field(1, b"".join(parts)))
    key = bytes([1 << 3 | (5 if is_float else 0)])
    return _field(2 if is_float else 3, b"".join(key + part for part in parts))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    data = b""
    while value > 0x7F:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])
