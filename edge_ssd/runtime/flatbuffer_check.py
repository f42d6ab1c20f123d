"""Check of a TFLite flatbuffer before an interpreter gets it.

Interpreters follow the offsets, lengths and indices of a file; tflite-runtime checks none of them, ai-edge-litert not
all. Here every offset, vector length, index and buffer size that a detector uses is checked once, in time that is
linear in the size of the file. What a detector never has (several graphs, sparse or string tensors, options that hold
further tables) is refused. A device has no ``flatbuffers`` package: tables are read by field number.
Source: TensorFlow's ``schema.fbs``, version 3, and https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from edge_ssd.errors import BundleError

__all__ = ["check_flatbuffer"]

# Bytes of each field, by field number. The strings, vectors and tables of a field are 4-byte offsets.
_MODEL = (4, 4, 4, 4, 4, 4, 4, 4)
_OPERATOR_CODE = (1, 4, 4, 4)
_GRAPH = (4, 4, 4, 4, 4, 4)
_TENSOR = (4, 1, 4, 4, 4, 1, 4, 4, 1, 4, 4)
_QUANTIZATION = (4, 4, 4, 4, 1, 4, 4)
_OPERATOR = (4, 4, 4, 1, 4, 4, 1, 4, 4, 8, 8, 1, 4, 4)
_BUFFER = (4, 8, 8)
_METADATA = (4, 4)
_SIGNATURE = (4, 4, 4, 4, 4)
_NAMED_TENSOR = (4, 4)

# BuiltinOptions that hold more than numbers → the fields that are vectors of int32; None: not used by detectors.
_OPTIONS_WITH_VECTORS: dict[int, tuple[int, ...] | None] = {
    17: (0,),
    30: (0,),
    3: None,
    111: None,
    114: None,
    115: None,
}
_FULLY_CONNECTED, _QUANT_SPEC = 8, 5  # its field that is a vector, of newer files
_LAST_OPTIONS = 126

# TensorType → bytes of an element: float32, float16, int32, uint8, int64, bool, int16, int8, float64.
_ITEM_BYTES = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1, 10: 8}
# TensorType → minimum and maximum of a zero point: uint8, int8.
_ZERO_POINTS = {3: (0, 255), 9: (-128, 127)}
_OTHER_ZERO_POINTS = (-(2**15), 2**15 - 1)

_MAX_FIELDS = 64
_MAX_RANK = 8
_MAX_TENSOR_BYTES = 2**30
_READS_PER_BYTE = 4  # a file that is read more often shares its parts, so that the time would be quadratic
_MIN_READS = 2**12

_INT32, _UINT32, _UINT64 = struct.Struct("<i"), struct.Struct("<I"), struct.Struct("<Q")
_VTABLE = struct.Struct("<HH")

Table = Sequence[int]
"""Position of each field of a table; 0 for one that is missing."""


def check_flatbuffer(data: bytes) -> None:
    """Raise BundleError if ``data``, a TFLite model of a detector, would make an interpreter read outside of it."""
    try:
        _Check(data).model()
    except (struct.error, IndexError) as error:  # a position outside of the data
        raise BundleError(f"the model is damaged or forged ({error}); use a file of a source that you trust") from None


class _Check:
    def __init__(self, data: bytes) -> None:
        self._data, self._size = data, len(data)
        self._reads = _MIN_READS + _READS_PER_BYTE * len(data)
        self._vtables: dict[tuple[int, Table], tuple[int, Table]] = {}

    def model(self) -> None:
        if self._data[4:8] != b"TFL3":
            raise IndexError("it is no TFLite model")
        model = self._table(_UINT32.unpack_from(self._data)[0], _MODEL)
        codes = self._tables(model[1], _OPERATOR_CODE)
        for code in codes:
            self._string(code[1])
        self._string(model[3])
        buffers = [self._buffer(table) for table in self._tables(model[4], _BUFFER)]
        self._indices(model[5], len(buffers), "buffer")
        for entry in self._tables(model[6], _METADATA):
            self._string(entry[0])
            self._index(entry[1], len(buffers), "buffer of metadata")
        graphs = self._tables(model[2], _GRAPH)
        if len(graphs) != 1:
            raise IndexError(f"it has {len(graphs)} graphs, a detector has one")
        tensors = self._graph(graphs[0], codes, buffers)
        for signature in self._tables(model[7], _SIGNATURE):
            for field in signature[:2]:
                for named in self._tables(field, _NAMED_TENSOR):
                    self._string(named[0])
                    self._index(named[1], tensors, "tensor of a signature")
            self._string(signature[2])
            self._string(signature[3])
            self._index(signature[4], 1, "graph of a signature")

    def _graph(self, graph: Table, codes: Sequence[Table], buffers: Sequence[int]) -> int:
        """Check the only graph; return its number of tensors."""
        constants = [self._tensor(table, buffers) for table in self._tables(graph[0], _TENSOR)]
        total = len(constants)
        written = bytearray(constants)  # what an operator may read: constants, inputs, results of operators before it
        for index in self._indices(graph[1], total, "input"):
            if constants[index]:
                raise IndexError(f"input {index} is a constant")
            written[index] = 1
        outputs = self._indices(graph[2], total, "output")
        self._string(graph[4])
        for operator in self._tables(graph[3], _OPERATOR):
            self._index(operator[0], len(codes), "operator")
            for index in self._indices(operator[1], total, "tensor", optional=True):
                if index >= 0 and not written[index]:
                    raise IndexError(f"tensor {index} is read before it is written")
            for index in self._indices(operator[2], total, "tensor"):
                if written[index]:
                    raise IndexError(f"tensor {index} is written twice")
                written[index] = 1
            self._options(operator)
            self._vector(operator[7], 1)
            self._indices(operator[8], total, "tensor", optional=True)
        if not all(written[index] for index in outputs):
            raise IndexError("an output is never written")
        return total

    def _options(self, operator: Table) -> None:
        kind = self._data[operator[3]] if operator[3] else 0
        self._vector(operator[5], 1)
        if operator[9] or operator[10] or operator[11] or operator[12] or kind > _LAST_OPTIONS:
            raise IndexError("an operator has options that no detector has")
        if not kind or not operator[4]:
            return
        vectors = _OPTIONS_WITH_VECTORS.get(kind, ())
        options = self._table(self._target(operator[4]), None)
        if vectors is None or (kind == _FULLY_CONNECTED and options[_QUANT_SPEC : _QUANT_SPEC + 1] not in ((), (0,))):
            raise IndexError("an operator has options that no detector has")
        for field in vectors:
            self._vector(options[field] if field < len(options) else 0, 4)

    def _tensor(self, tensor: Table, buffers: Sequence[int]) -> bool:
        """Check a tensor; return whether it is a constant."""
        data, shape = self._data, self._int32(tensor[0])
        kind = data[tensor[1]] if tensor[1] else 0
        signature = self._vector(tensor[7], 4)[1]
        if tensor[6] or tensor[9] or tensor[10] or kind not in _ITEM_BYTES:
            raise IndexError("a tensor is of a kind that no detector has")
        if len(shape) > _MAX_RANK or min(shape, default=0) < 0 or signature not in (0, len(shape)):
            raise IndexError(f"a tensor has the shape {list(shape[: _MAX_RANK + 1])}")
        size = math.prod(shape) * _ITEM_BYTES[kind]
        if size > _MAX_TENSOR_BYTES:
            raise IndexError(f"a tensor takes {size // 2**20} MB, more than {_MAX_TENSOR_BYTES // 2**20}")
        stored = buffers[self._index(tensor[2], len(buffers), "buffer")]
        if stored not in (0, size):
            raise IndexError(f"a tensor of {size} bytes has a buffer of {stored}")
        self._string(tensor[3])
        if tensor[4]:
            self._quantization(self._table(self._target(tensor[4]), _QUANTIZATION), shape, kind)
        return stored > 0

    def _quantization(self, table: Table, shape: Sequence[int], kind: int) -> None:
        for field in table[:2]:
            self._vector(field, 4)
        start, scales = self._vector(table[2], 4)
        zero_start, zero_points = self._vector(table[3], 8)
        if table[4] and self._data[table[4]]:
            raise IndexError("a tensor has a quantization that no detector has")
        dimension = _INT32.unpack_from(self._data, table[6])[0] if table[6] else 0
        fits = scales <= 1 or (0 <= dimension < len(shape) and shape[dimension] == scales)
        if not fits or zero_points not in (0, 1, scales):
            raise IndexError(f"a tensor has {scales} scales and {zero_points} zero points")
        values = struct.unpack_from(f"<{scales}f", self._data, start)
        if scales and not (
            0 <= min(values) <= max(values) < math.inf and sum(values) > 0
        ):  # in this form NaN is refused
            raise IndexError("a tensor has a scale that is not positive")
        low, high = _ZERO_POINTS.get(kind, _OTHER_ZERO_POINTS)
        zeros = struct.unpack_from(f"<{zero_points}q", self._data, zero_start)
        if zeros and not low <= min(zeros) <= max(zeros) <= high:
            raise IndexError(f"a tensor has a zero point outside {low} to {high}")

    def _buffer(self, buffer: Table) -> int:
        """Return the bytes of a buffer."""
        data = self._data
        length = self._vector(buffer[0], 1)[1]
        # 0 and 1 mean that the data are in the table, not behind the tables.
        offset = _UINT64.unpack_from(data, buffer[1])[0] if buffer[1] else 0
        if offset <= 1:
            return length
        size = int(_UINT64.unpack_from(data, buffer[2])[0]) if buffer[2] else 0
        if offset + size > self._size:
            raise IndexError(f"a buffer of {size} bytes ends behind the file")
        return size

    # ---- flatbuffers

    def _table(self, position: int, sizes: tuple[int, ...] | None) -> Table:
        """Return the positions of a table's fields, as many as ``sizes``, or as there are for None."""
        data = self._data
        vtable = position - _INT32.unpack_from(data, position)[0]
        key = (vtable, sizes or ())
        known = self._vtables.get(key)
        if known is None:
            known = self._vtables[key] = self._read_vtable(vtable, sizes)
        table_size, offsets = known
        self._reads -= table_size + 4
        if position % 4 or position + table_size > self._size or self._reads < 0:
            raise IndexError(f"a table at {position} does not fit")
        return [position + offset if offset else 0 for offset in offsets]

    def _read_vtable(self, position: int, sizes: tuple[int, ...] | None) -> tuple[int, Table]:
        """Return the size of a table and the offset of each field, from its vtable at ``position``."""
        if position < 0 or position % 2:
            raise IndexError(f"a vtable is at {position}")
        vtable_size, table_size = _VTABLE.unpack_from(self._data, position)
        count = vtable_size // 2 - 2
        if not 0 <= count <= _MAX_FIELDS or table_size < 4:
            raise IndexError(f"a vtable has {vtable_size} bytes")
        self._reads -= vtable_size
        offsets = struct.unpack_from(f"<{count}H", self._data, position + 4)
        if sizes is None:
            # The sizes are unknown; numbers are aligned to theirs, and none of those read here has more than 4 bytes.
            lengths: Sequence[int] = [min(4, offset & -offset) for offset in offsets]
        elif any(offsets[len(sizes) :]):
            raise IndexError("a table has fields of a newer version")
        else:
            lengths = sizes
            offsets = (offsets + (0,) * len(sizes))[: len(sizes)]
        for offset, size in zip(offsets, lengths, strict=True):
            if offset and not 4 <= offset <= table_size - size:
                raise IndexError(f"a field at {offset} is outside its table of {table_size} bytes")
        return table_size, offsets

    def _target(self, field: int) -> int:
        """Return the position that an offset field points to."""
        return field + int(_UINT32.unpack_from(self._data, field)[0])

    def _vector(self, field: int, item: int) -> tuple[int, int]:
        """Return start and length of a vector of ``item`` bytes an element; (0, 0) if the field is missing."""
        if not field:
            return 0, 0
        data = self._data
        position = field + _UINT32.unpack_from(data, field)[0]
        length = _UINT32.unpack_from(data, position)[0]
        end = position + 4 + length * item
        self._reads -= end - position
        if position % 4 or end > self._size or self._reads < 0:
            raise IndexError(f"a vector of {length} elements at {position} does not fit")
        return position + 4, length

    def _string(self, field: int) -> None:
        if field:
            start, length = self._vector(field, 1)
            if self._data[start + length]:
                raise IndexError(f"text at {start} has no end")

    def _int32(self, field: int) -> Sequence[int]:
        start, length = self._vector(field, 4)
        return struct.unpack_from(f"<{length}i", self._data, start) if length else ()

    def _indices(self, field: int, total: int, what: str, optional: bool = False) -> Sequence[int]:
        """Return a vector of indices below ``total``; −1 stands for none if ``optional``."""
        indices = self._int32(field)
        if indices and (min(indices) < -optional or max(indices) >= total):
            raise IndexError(f"{what} {max(indices)} of {total}")
        return indices

    def _index(self, field: int, total: int, what: str) -> int:
        index = int(_UINT32.unpack_from(self._data, field)[0]) if field else 0
        if index >= total:
            raise IndexError(f"{what} {index} of {total}")
        return index

    def _tables(self, field: int, sizes: tuple[int, ...]) -> Sequence[Table]:
        start, length = self._vector(field, 4)
        offsets = struct.unpack_from(f"<{length}I", self._data, start) if length else ()
        return [self._table(start + 4 * i + offset, sizes) for i, offset in enumerate(offsets)]
