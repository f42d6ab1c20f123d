"""Which operators a TFLite model uses and on what types, read from the flatbuffer itself.

The file's own ``min_runtime_version`` is not to be trusted, and a device has neither TensorFlow nor the flatbuffers
package, so the few tables on the way to the operators are read by position. Source: TensorFlow's ``schema.fbs``
(Model: operator_codes 1, subgraphs 2; SubGraph: tensors 0, operators 3; Tensor: shape 0, type 1, name 3,
shape_signature 7; Operator: opcode_index 0, inputs 1, outputs 2; OperatorCode: deprecated_builtin_code 0,
custom_code 1, version 2, builtin_code 3).
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from converters.tflite.flatbuffer import Table
from converters.tflite.op_versions import BUILTIN_NAMES
from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import FLATBUFFER_IDENTIFIER

__all__ = ["Graph", "Operator", "OperatorUse", "count_operators", "read_graph"]

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_CUSTOM = 32
_PLACEHOLDER = 127  # PLACEHOLDER_FOR_GREATER_OP_CODES: the code is in the newer field
_MAX_GRAPHS = 16  # a network has one; many that share one list would take for ever to count

# TensorType in schema.fbs.
_TYPES = [
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64"),
    *("complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16"),
]


class Operator(NamedTuple):
    """An operator and the version of it that the model needs; a custom one has a name of its own."""

    name: str
    version: int
    custom: bool = False


@dataclass(frozen=True)
class OperatorUse:
    """How often a model uses an operator on the same types; ``types`` reads "int8, int8, int32 → int8"."""

    operator: Operator
    types: str
    count: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**self.operator._asdict(), "types": self.types, "count": self.count}


@dataclass(frozen=True)
class Graph:
    """What is in a model.

    Attributes:
        uses: most frequent first.
        dynamic: names of tensors whose shape is only known at run time.
        multiply_adds: of all convolutions for one picture, those with the padding around a map included.
    """

    uses: tuple[OperatorUse, ...]
    dynamic: tuple[str, ...]
    multiply_adds: int = 0

    def counted(self) -> dict[Operator, int]:
        """How often each operator occurs, on whatever types, most frequent first."""
        counts: Counter[Operator] = Counter()
        for use in self.uses:
            counts[use.operator] += use.count
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def read_graph(flatbuffer: bytes) -> Graph:
    """Read the operators of a TFLite model; raises :class:`BundleError` if they cannot be read."""
    try:
        if flatbuffer[4:8] != FLATBUFFER_IDENTIFIER:
            raise IndexError("it is no TFLite model")
        root = Table.root(flatbuffer)
        codes = [_operator(code) for code in root.tables(1)]
        graphs = root.tables(2)
        if len(graphs) > _MAX_GRAPHS:
            raise IndexError(f"{len(graphs)} graphs")
        counted: Counter[tuple[Operator, str]] = Counter()
        dynamic: list[str] = []
        multiply_adds = 0
        for graph in graphs:
            tensors = graph.tables(0)
            types = [_type(tensor) for tensor in tensors]
            dynamic += [tensor.text(3) for tensor in tensors if -1 in (*tensor.numbers(0), *tensor.numbers(7))]
            for operator in graph.tables(3):
                code = codes[operator.number(0, "<I")]
                counted[code, _signature(operator, types)] += 1
                if code.name in _CONVOLUTIONS:
                    multiply_adds += _multiply_adds(operator, tensors)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BundleError(f"the operators of the model cannot be read ({error}); convert it again") from None
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return Graph(tuple(OperatorUse(*key, count) for key, count in ordered), tuple(dynamic), multiply_adds)


def count_operators(flatbuffer: bytes) -> dict[Operator, int]:
    """How often each operator occurs, most frequent first; raises :class:`BundleError` if it cannot be read."""
    return read_graph(flatbuffer).counted()


def _multiply_adds(operator: Table, tensors: list[Table]) -> int:
    """Of a convolution: every weight is used once in every cell of the output, [1, height, width, channels]."""
    inputs, outputs = operator.numbers(1), operator.numbers(2)
    if len(inputs) < 2 or not outputs:
        return 0
    return math.prod((*tensors[outputs[0]].numbers(0)[1:3], *tensors[inputs[1]].numbers(0)))


def _operator(code: Table) -> Operator:
    old, new = code.number(0, "<b"), code.number(3, "<i")
    builtin = new if old == _PLACEHOLDER else max(old, new)
    custom = builtin == _CUSTOM
    name = code.text(1) if custom else BUILTIN_NAMES.get(builtin, f"BUILTIN_{builtin}")
    return Operator(name, code.number(2, "<i", default=1), custom)


def _type(tensor: Table) -> str:
    number = tensor.number(1, "<b")
    return _TYPES[number] if 0 <= number < len(_TYPES) else f"type {number}"


def _signature(operator: Table, types: list[str]) -> str:
    def names(field: int) -> str:
        # −1 stands for an optional tensor that is left out.
        return ", ".join(types[index] for index in operator.numbers(field) if index != -1)

    return f"{names(1)} → {names(2)}"
