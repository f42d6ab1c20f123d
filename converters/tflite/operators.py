"""Operators of a TFLite model and their tensor types, read from the flatbuffer.

The file's ``min_runtime_version`` is unreliable, and a device has neither TensorFlow nor the flatbuffers package, so
the few tables that lead to the operators are read by field number. Source: TensorFlow's ``schema.fbs`` (Model:
operator_codes 1, subgraphs 2; SubGraph: tensors 0, operators 3; Tensor: shape 0, type 1, name 3, shape_signature 7;
Operator: opcode_index 0, inputs 1, outputs 2; OperatorCode: deprecated_builtin_code 0, custom_code 1, version 2,
builtin_code 3).
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from converters.tflite.op_versions import OPERATOR_NAMES
from converters.tflite.raw_tables import TableReader
from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import FLATBUFFER_IDENTIFIER

__all__ = ["Graph", "Operator", "OperatorUse", "read_graph"]

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_CUSTOM = 32
_PLACEHOLDER = 127  # PLACEHOLDER_FOR_GREATER_OP_CODES: the code is in the newer field
_MAX_SUBGRAPHS = 16  # a detector has one; a malformed file with many that share tables would take very long to read

# TensorType in schema.fbs.
_TYPES = [
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64"),
    *("complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16"),
]


class Operator(NamedTuple):
    """An operator in the version that the model needs; ``custom`` operators are not built into TFLite."""

    name: str
    version: int
    custom: bool = False


@dataclass(frozen=True)
class OperatorUse:
    """Number of uses of an operator on the same tensor types; ``types`` reads "int8, int8, int32 → int8"."""

    operator: Operator
    types: str
    count: int

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dictionary of plain JSON types."""
        return {**self.operator._asdict(), "types": self.types, "count": self.count}


@dataclass(frozen=True)
class Graph:
    """Summary of the operators of a TFLite model.

    Attributes:
        uses: number of uses of each operator on the same tensor types, most frequent first.
        dynamic_tensors: names of tensors whose shape is only known at run time.
        multiply_adds: number of multiply-adds of all convolutions for one image, including those on padding.
    """

    uses: tuple[OperatorUse, ...]
    dynamic_tensors: tuple[str, ...]
    multiply_adds: int = 0

    def operator_counts(self) -> dict[Operator, int]:
        """Return the number of uses of each operator, summed over tensor types, most frequent first."""
        counts: Counter[Operator] = Counter()
        for use in self.uses:
            counts[use.operator] += use.count
        return dict(sorted(counts.items(), key=_most_frequent_first))


def read_graph(flatbuffer: bytes) -> Graph:
    """Read the operators of a TFLite model.

    Raises:
        BundleError: the bytes are no TFLite model or malformed.
    """
    try:
        if flatbuffer[4:8] != FLATBUFFER_IDENTIFIER:
            raise IndexError("it is no TFLite model")
        root = TableReader.root(flatbuffer)
        operators = [_operator(code) for code in root.tables(1)]
        subgraphs = root.tables(2)
        if len(subgraphs) > _MAX_SUBGRAPHS:
            raise IndexError(f"{len(subgraphs)} graphs")
        counts: Counter[tuple[Operator, str]] = Counter()
        dynamic_tensors: list[str] = []
        multiply_adds = 0
        for subgraph in subgraphs:
            tensors = subgraph.tables(0)
            types = [_tensor_type(tensor) for tensor in tensors]
            dynamic_tensors += [t.text(3) for t in tensors if -1 in (*t.numbers(0), *t.numbers(7))]
            for node in subgraph.tables(3):
                operator = operators[node.number(0, "<I")]
                counts[operator, _signature(node, types)] += 1
                if operator.name in _CONVOLUTIONS:
                    multiply_adds += _multiply_adds(node, tensors)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BundleError(f"the operators of the model cannot be read ({error}); convert it again") from None
    uses = tuple(OperatorUse(*key, count) for key, count in sorted(counts.items(), key=_most_frequent_first))
    return Graph(uses, tuple(dynamic_tensors), multiply_adds)


def _most_frequent_first(item: tuple[Any, int]) -> tuple[int, Any]:
    """Sort key of (value, count) pairs; equal counts are sorted by value."""
    return -item[1], item[0]


def _multiply_adds(node: TableReader, tensors: list[TableReader]) -> int:
    """Return those of a convolution: every weight is used once per cell of the output [1, height, width, channels]."""
    inputs, outputs = node.numbers(1), node.numbers(2)
    if len(inputs) < 2 or not outputs:
        return 0
    return math.prod((*tensors[outputs[0]].numbers(0)[1:3], *tensors[inputs[1]].numbers(0)))


def _operator(code: TableReader) -> Operator:
    deprecated, newer = code.number(0, "<b"), code.number(3, "<i")
    builtin = newer if deprecated == _PLACEHOLDER else max(deprecated, newer)
    custom = builtin == _CUSTOM
    name = code.text(1) if custom else OPERATOR_NAMES.get(builtin, f"BUILTIN_{builtin}")
    return Operator(name, code.number(2, "<i", default=1), custom)


def _tensor_type(tensor: TableReader) -> str:
    number = tensor.number(1, "<b")
    return _TYPES[number] if 0 <= number < len(_TYPES) else f"type {number}"


def _signature(node: TableReader, types: list[str]) -> str:
    """Return the tensor types of an operator, such as "int8, int8 → int8"."""

    def type_names(field: int) -> str:
        # −1 stands for an optional tensor that is left out.
        return ", ".join(types[index] for index in node.numbers(field) if index != -1)

    return f"{type_names(1)} → {type_names(2)}"
