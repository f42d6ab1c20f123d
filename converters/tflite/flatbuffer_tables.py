"""Build a flatbuffer slot by slot, for schemas whose generated classes are in no package that is small and maintained.

Slots are the fields' positions in the schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Tables"]


class Tables:
    """Flatbuffer tables by slot number; everything a table refers to is made before it."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def make(self, **fields: tuple[int, int] | tuple[int, float, str]) -> int:
        """A table with ``name=(slot, reference)`` or ``name=(slot, number, number type)``."""
        self._builder.StartObject(1 + max((field[0] for field in fields.values()), default=-1))
        for field in fields.values():
            if len(field) == 2:
                self._builder.PrependUOffsetTRelativeSlot(field[0], field[1], 0)
            else:
                getattr(self._builder, f"Prepend{field[2]}Slot")(field[0], field[1], 0)
        reference: int = self._builder.EndObject()
        return reference

    def text(self, value: str) -> int:
        reference: int = self._builder.CreateString(value)
        return reference

    def vector(self, references: Sequence[int]) -> int:
        self._builder.StartVector(4, len(references), 4)
        for item in reversed(references):
            self._builder.PrependUOffsetTRelative(item)
        reference: int = self._builder.EndVector()
        return reference

    def floats(self, values: Sequence[float]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self._builder.PrependFloat32(value)
        reference: int = self._builder.EndVector()
        return reference

    def unsigned(self, values: Sequence[int]) -> int:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self._builder.PrependUint32(value)
        reference: int = self._builder.EndVector()
        return reference

    def finish(self, root: int, identifier: bytes) -> bytes:
        """The whole flatbuffer, whose root is the table ``root``."""
        self._builder.Finish(root, identifier)
        return bytes(self._builder.Output())
