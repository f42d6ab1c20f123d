"""Read and write FlatBuffers tables by field number, without the classes that a schema compiler generates.

The reader needs the standard library only, because a device has neither TensorFlow nor the ``flatbuffers`` package.
The writer serves schemas whose generated classes are in no small, maintained package. A field number is the field's
position in the schema. Source: https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = ["TableReader", "TableWriter"]

# What is read in total, in bytes, for each byte of the data: tables that share long vectors would take quadratic time.
_READS_PER_BYTE, _MIN_READS = 16, 2**16


class TableReader:
    """The table at byte ``position`` of the flatbuffer ``data``; a field number is a position in the schema, from 0.

    The bytes may be malformed: a position outside them raises ``IndexError`` or ``struct.error``, invalid UTF-8
    ``UnicodeDecodeError``. Callers turn these into an error of their own.
    """

    def __init__(self, data: bytes, position: int, reads: list[int] | None = None) -> None:
        self._data, self._position = data, position
        self._reads = [_MIN_READS + _READS_PER_BYTE * len(data)] if reads is None else reads  # shared by all tables
        self._vtable = position - self._read("<i", position)
        self._vtable_size = self._read("<H", self._vtable)

    @classmethod
    def root(cls, data: bytes) -> TableReader:
        """Return the root table of the flatbuffer ``data``."""
        return cls(data, struct.unpack_from("<I", data)[0])

    def number(self, field: int, layout: str, default: int = 0) -> int:
        """Return the scalar in a field, or ``default``; ``layout`` is its :mod:`struct` format, such as ``"<i"``."""
        position = self._field_position(field)
        return default if position is None else self._read(layout, position)

    def text(self, field: int) -> str:
        """Return the string in the field number ``field``; "" if it is missing."""
        start, length = self._checked_vector(field, 1)
        return self._data[start : start + length].decode()

    def numbers(self, field: int) -> list[int]:
        """Return the vector of int32 in the field number ``field``; empty if it is missing."""
        start, length = self._checked_vector(field)
        return list(struct.unpack_from(f"<{length}i", self._data, start))

    def tables(self, field: int) -> list[TableReader]:
        """Return the vector of tables in the field number ``field``; empty if it is missing."""
        start, length = self._checked_vector(field)
        positions = range(start, start + 4 * length, 4)
        return [TableReader(self._data, position + self._read("<I", position), self._reads) for position in positions]

    def _checked_vector(self, field: int, item: int = 4) -> tuple[int, int]:
        """Return start and length of a vector of ``item`` bytes an element; raise IndexError if it exceeds the data."""
        start, length = self._vector(field)
        if start + item * length > len(self._data):
            raise IndexError(f"a vector of {length} elements reaches past the end")
        self._reads[0] -= item * length
        if self._reads[0] < 0:
            raise IndexError("its tables share their parts too often")
        return start, length

    def _vector(self, field: int) -> tuple[int, int]:
        position = self._field_position(field)
        if position is None:
            return 0, 0
        position += self._read("<I", position)
        return position + 4, self._read("<I", position)

    def _field_position(self, field: int) -> int | None:
        entry = 4 + 2 * field
        offset = self._read("<H", self._vtable + entry) if entry < self._vtable_size else 0
        return self._position + offset if offset else None

    def _read(self, layout: str, position: int) -> int:
        if position < 0:
            raise IndexError(f"position {position} is before the beginning")
        return int(struct.unpack_from(layout, self._data, position)[0])


class TableWriter:
    """Builder of a flatbuffer. What is added gets an ``int`` reference, for tables and vectors that are added later."""

    def __init__(self) -> None:
        import flatbuffers

        self._builder = flatbuffers.Builder(4096)

    def table(self, **fields: tuple[int, int] | tuple[int, float, str]) -> int:
        """Add a table with fields ``name=(field number, reference)`` or ``name=(field number, value, number type)``.

        Return the table's reference. The names are not written. A number type is one of ``flatbuffers``, as "Int8".
        """
        self._builder.StartObject(1 + max((field[0] for field in fields.values()), default=-1))
        for field in fields.values():
            if len(field) == 2:
                self._builder.PrependUOffsetTRelativeSlot(field[0], field[1], 0)
            else:
                getattr(self._builder, f"Prepend{field[2]}Slot")(field[0], field[1], 0)
        return int(self._builder.EndObject())

    def text(self, value: str) -> int:
        """Add the string ``value``; return its reference."""
        return int(self._builder.CreateString(value))

    def vector(self, values: Sequence[float], number_type: str = "UOffsetTRelative") -> int:
        """Add a vector of references, or of four-byte numbers with a type such as "Float32"; return its reference."""
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            getattr(self._builder, f"Prepend{number_type}")(value)
        return int(self._builder.EndVector())

    def finish(self, root: int, identifier: bytes) -> bytes:
        """Return the flatbuffer; ``root`` refers to the root table, ``identifier`` is the schema's, four bytes."""
        self._builder.Finish(root, identifier)
        return bytes(self._builder.Output())
