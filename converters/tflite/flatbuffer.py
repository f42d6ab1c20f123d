"""Reading FlatBuffers tables by position, without a schema's generated code: a device has none.

Source: the FlatBuffers internals document. Bytes from anywhere may come in: a place outside of them raises IndexError
or struct.error, which callers turn into an error of their own.
"""

from __future__ import annotations

import struct

__all__ = ["Table"]


class Table:
    """A table: its fields are found through the list of offsets that it points to."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._offsets = position - self._read("<i", position)
        self._size = self._read("<H", self._offsets)

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that the first four bytes point to."""
        return cls(data, struct.unpack_from("<I", data)[0])

    def number(self, field: int, layout: str, default: int = 0) -> int:
        """A number; ``layout`` is struct's, such as ``"<i"``."""
        place = self._place(field)
        return default if place is None else self._read(layout, place)

    def text(self, field: int) -> str:
        start, length = self._vector(field)
        return self._data[start : start + length].decode()

    def numbers(self, field: int) -> list[int]:
        """A list of 32-bit whole numbers."""
        start, length = self._bounded(field)
        return list(struct.unpack_from(f"<{length}i", self._data, start))

    def tables(self, field: int) -> list[Table]:
        start, length = self._bounded(field)
        places = range(start, start + 4 * length, 4)
        return [Table(self._data, place + self._read("<I", place)) for place in places]

    def _bounded(self, field: int) -> tuple[int, int]:
        """Start and length of a list of four-byte entries that lies within the data."""
        start, length = self._vector(field)
        if start + 4 * length > len(self._data):
            raise IndexError(f"a list of {length} reaches past the end")
        return start, length

    def _vector(self, field: int) -> tuple[int, int]:
        place = self._place(field)
        if place is None:
            return 0, 0
        place += self._read("<I", place)
        return place + 4, self._read("<I", place)

    def _place(self, field: int) -> int | None:
        entry = 4 + 2 * field
        offset = self._read("<H", self._offsets + entry) if entry < self._size else 0
        return self._position + offset if offset else None

    def _read(self, layout: str, place: int) -> int:
        if place < 0:
            raise IndexError(f"position {place} is before the beginning")
        value: int = struct.unpack_from(layout, self._data, place)[0]
        return value
