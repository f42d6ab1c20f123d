"""Which operators a TFLite model uses, read from the flatbuffer itself.

The file's own ``min_runtime_version`` is not to be trusted, and a device has neither TensorFlow nor the flatbuffers
package, so the few tables on the way to the operators are read by position. Source: TensorFlow's ``schema.fbs``
(Model: operator_codes 1, subgraphs 2; SubGraph: operators 3; Operator: opcode_index 0; OperatorCode:
deprecated_builtin_code 0, custom_code 1, version 2, builtin_code 3) and the FlatBuffers internals document.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import NamedTuple

from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import FLATBUFFER_IDENTIFIER

__all__ = ["Operator", "count_operators"]

# BuiltinOperator in schema.fbs; those that a detector may meet. Others are shown by number.
_NAMES = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    6: "DEQUANTIZE",
    9: "FULLY_CONNECTED",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    22: "RESHAPE",
    25: "SOFTMAX",
    34: "PAD",
    39: "TRANSPOSE",
    40: "MEAN",
    45: "STRIDED_SLICE",
    53: "CAST",
    82: "REDUCE_MAX",
    114: "QUANTIZE",
}
_CUSTOM = 32
_MAX_GRAPHS = 16  # a network has one; many that share one list would take for ever to count
_PLACEHOLDER = 127  # PLACEHOLDER_FOR_GREATER_OP_CODES: the code is in the newer field


class Operator(NamedTuple):
    """An operator and the version of it that the model needs."""

    name: str
    version: int


def count_operators(flatbuffer: bytes) -> dict[Operator, int]:
    """How often each operator occurs, most frequent first; raises :class:`BundleError` if it cannot be read."""
    try:
        if flatbuffer[4:8] != FLATBUFFER_IDENTIFIER:
            raise IndexError("it is no TFLite model")
        root = _Table(flatbuffer, struct.unpack_from("<I", flatbuffer)[0])
        codes = [_operator(code) for code in root.tables(1)]
        graphs = root.tables(2)
        if len(graphs) > _MAX_GRAPHS:
            raise IndexError(f"{len(graphs)} graphs")
        counted = Counter(codes[operator.number(0, "<I")] for graph in graphs for operator in graph.tables(3))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BundleError(f"the operators of the model cannot be read ({error}); convert it again") from None
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _operator(code: _Table) -> Operator:
    old, new = code.number(0, "<b"), code.number(3, "<i")
    builtin = new if old == _PLACEHOLDER else max(old, new)
    name = code.text(1) if builtin == _CUSTOM else _NAMES.get(builtin, f"BUILTIN_{builtin}")
    return Operator(name, code.number(2, "<i", default=1))


class _Table:
    """A FlatBuffers table: fields are found through the list of offsets that the table points to."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._offsets = position - self._read("<i", position)
        self._size = self._read("<H", self._offsets)

    def number(self, field: int, layout: str, default: int = 0) -> int:
        place = self._place(field)
        return default if place is None else self._read(layout, place)

    def text(self, field: int) -> str:
        start, length = self._vector(field)
        return self._data[start : start + length].decode()

    def tables(self, field: int) -> list[_Table]:
        start, length = self._vector(field)
        if start + 4 * length > len(self._data):
            raise IndexError(f"a list of {length} reaches past the end")
        places = range(start, start + 4 * length, 4)
        return [_Table(self._data, place + self._read("<I", place)) for place in places]

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
