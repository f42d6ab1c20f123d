"""Minimal TFLite flatbuffers for tests of readers: operators without weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from converters.tflite.raw_tables import TableWriter

__all__ = ["Node", "OperatorCode", "Tensor", "one_operator_model", "tflite_model"]

_PLACEHOLDER = 127


class OperatorCode(NamedTuple):
    """Fields of the table OperatorCode; None leaves a field out, as writers do for default values."""

    deprecated: int
    builtin: int | None = None
    custom: str | None = None
    version: int = 1


class Tensor(NamedTuple):
    """A tensor; ``dynamic`` makes its first dimension unknown."""

    type: int
    shape: tuple[int, ...] = (1, 4)
    dynamic: bool = False


class Node(NamedTuple):
    """A use of the operator code ``opcode`` on tensors by index."""

    opcode: int
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()


def tflite_model(codes: Sequence[OperatorCode], nodes: Sequence[Node], tensors: Sequence[Tensor] = ()) -> bytes:
    """Return a model with one subgraph and no signature."""
    writer = TableWriter()

    def operator_code(code: OperatorCode) -> int:
        fields = {"deprecated_builtin_code": (0, code.deprecated, "Int8")}
        if code.custom:
            fields["custom_code"] = (1, writer.text(code.custom))
        if code.version != 1:
            fields["version"] = (2, code.version, "Int32")
        if code.builtin is not None:
            fields["builtin_code"] = (3, code.builtin, "Int32")
        return writer.table(**fields)

    def tensor(i: int, value: Tensor) -> int:
        fields = {
            "shape": (0, writer.vector(value.shape, "Int32")),
            "type": (1, value.type, "Int8"),
            "name": (3, writer.text(f"t{i}")),
        }
        if value.dynamic:
            fields["shape_signature"] = (7, writer.vector([-1, *value.shape[1:]], "Int32"))
        return writer.table(**fields)

    def node(value: Node) -> int:
        inputs, outputs = writer.vector(value.inputs, "Int32"), writer.vector(value.outputs, "Int32")
        return writer.table(opcode_index=(0, value.opcode, "Uint32"), inputs=(1, inputs), outputs=(2, outputs))

    subgraph = writer.table(
        tensors=(0, writer.vector([tensor(i, value) for i, value in enumerate(tensors)])),
        inputs=(1, writer.vector([], "Int32")),
        outputs=(2, writer.vector([], "Int32")),
        operators=(3, writer.vector([node(value) for value in nodes])),
    )
    model = writer.table(
        version=(0, 3, "Uint32"),
        operator_codes=(1, writer.vector([operator_code(code) for code in codes])),
        subgraphs=(2, writer.vector([subgraph])),
        buffers=(4, writer.vector([writer.table()])),
    )
    return writer.finish(model, b"TFL3")


def one_operator_model(
    builtin: int, version: int, custom: str = "", types: Sequence[int] = (), dynamic: bool = False
) -> bytes:
    """Return a model with one operator code, which is used if ``types`` gives the types of its input and output."""
    code = OperatorCode(min(builtin, _PLACEHOLDER), builtin, custom, version)
    nodes = [Node(0, (-1, 0), (1,))] if types else []
    return tflite_model([code], nodes, [Tensor(kind, dynamic=dynamic) for kind in types])
