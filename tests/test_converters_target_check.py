"""Verdicts about runtimes, on models written here; and the table itself against the runtime at hand."""

from __future__ import annotations

import flatbuffers
import pytest

from converters.tflite.compatibility import problems, verdicts
from converters.tflite.op_versions import BUILTIN_NAMES, RUNTIMES, max_version
from converters.tflite.operators import Graph, Operator, OperatorUse, read_graph
from edge_ssd.runtime.interpreter import open_interpreter

_FLOAT32, _INT8, _INT16 = 0, 9, 7


def one_operator_model(code: int, version: int, custom: str = "", types=(), shape=(1, 4), dynamic=False) -> bytes:
    """A model that names one operator, and uses it if ``types`` gives its input and output."""
    builder = flatbuffers.Builder(512)
    name = builder.CreateString(custom)
    builder.StartObject(4)
    builder.PrependInt8Slot(0, min(code, 127), 0)
    if custom:
        builder.PrependUOffsetTRelativeSlot(1, name, 0)
    builder.PrependInt32Slot(2, version, 1)
    builder.PrependInt32Slot(3, code, 0)
    codes = table_vector(builder, [builder.EndObject()])
    tensors = []
    for i, kind in enumerate(types):
        tensor_name = builder.CreateString(f"t{i}")
        sizes = numbers(builder, shape)
        signature = numbers(builder, [-1, *shape[1:]]) if dynamic else None
        builder.StartObject(8)
        builder.PrependUOffsetTRelativeSlot(0, sizes, 0)
        builder.PrependInt8Slot(1, kind, 0)
        builder.PrependUOffsetTRelativeSlot(3, tensor_name, 0)
        if signature is not None:
            builder.PrependUOffsetTRelativeSlot(7, signature, 0)
        tensors.append(builder.EndObject())
    tensor_vector = table_vector(builder, tensors)
    operators = []
    if types:
        inputs, outputs = numbers(builder, [-1, 0]), numbers(builder, [1])
        builder.StartObject(3)
        builder.PrependUOffsetTRelativeSlot(1, inputs, 0)
        builder.PrependUOffsetTRelativeSlot(2, outputs, 0)
        operators.append(builder.EndObject())
    operator_vector = table_vector(builder, operators)
    empty = numbers(builder, [])
    builder.StartObject(4)
    for slot, value in enumerate((tensor_vector, empty, empty, operator_vector)):
        builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    graphs = table_vector(builder, [builder.EndObject()])
    builder.StartObject(1)
    buffers = table_vector(builder, [builder.EndObject()])
    builder.StartObject(5)
    builder.PrependUint32Slot(0, 3, 0)
    for slot, value in ((1, codes), (2, graphs), (4, buffers)):
        builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    builder.Finish(builder.EndObject(), b"TFL3")
    return bytes(builder.Output())


def table_vector(builder, references) -> int:
    builder.StartVector(4, len(references), 4)
    for reference in reversed(references):
        builder.PrependUOffsetTRelative(reference)
    return builder.EndVector()


def numbers(builder, values) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependInt32(value)
    return builder.EndVector()


def graph(name: str, version: int = 1, types: str = "int8 → int8", custom: bool = False) -> Graph:
    return Graph((OperatorUse(Operator(name, version, custom), types, 1),), ())


def test_types_are_read_and_left_out_tensors_skipped():
    read = read_graph(one_operator_model(114, 2, types=(_INT8, _INT16)))
    assert read == Graph((OperatorUse(Operator("QUANTIZE", 2), "int8 → int16", 1),), ())


def test_a_version_beyond_a_runtimes_is_named():
    # Dynamic-range Dense as current converters write it.
    said = {verdict.runtime: str(verdict) for verdict in verdicts(graph("FULLY_CONNECTED", 12))}
    assert said["tflite-runtime 2.14"] == (
        "tflite-runtime 2.14: NO, it lacks FULLY_CONNECTED version 12 (has up to 10)"
    )
    assert said["ai-edge-litert 1.4"] == "ai-edge-litert 1.4: yes"
    assert said["ai-edge-litert 2.3"] == "ai-edge-litert 2.3: yes"


def test_an_operator_that_a_runtime_lacks_is_named():
    old, *newer = verdicts(graph("STABLEHLO_COMPOSITE"))
    assert old.missing == ("STABLEHLO_COMPOSITE version 1 (has none)",)
    assert all(verdict.runs for verdict in newer)


def test_types_that_a_kernel_refuses_are_named():
    assert [verdict.runs for verdict in verdicts(graph("QUANTIZE", 1, "int8 → int16"))] == [False, False, True]
    assert [verdict.runs for verdict in verdicts(graph("QUANTIZE", 1, "float32 → int16"))] == [True, True, True]


def test_flex_custom_and_dynamic_are_problems():
    (problem,) = problems(read_graph(one_operator_model(32, 1, "FlexErf", types=(_FLOAT32, _FLOAT32))))
    assert problem.startswith("FlexErf is a TensorFlow operator (Flex)")
    (problem,) = problems(graph("MyOp", custom=True))
    assert problem.startswith("MyOp is a custom operator")
    assert not any(verdict.runs for verdict in verdicts(graph("MyOp", custom=True)))
    (problem,) = problems(read_graph(one_operator_model(19, 1, types=(_FLOAT32, _FLOAT32), dynamic=True)))
    assert problem.startswith("the shape of t0, t1 is only known at run time")


def test_the_usual_end_of_detectors_is_no_problem():
    usual = graph("TFLite_Detection_PostProcess", custom=True)
    assert problems(usual) == ()
    assert all(verdict.runs for verdict in verdicts(usual))


@pytest.mark.parametrize("operator", ["CONV_2D", "FULLY_CONNECTED", "QUANTIZE", "CAST", "STABLEHLO_ADD", "SKIP_GRAM"])
def test_the_table_says_what_the_runtime_at_hand_does(operator: str):
    """Probe one version within the table and one beyond it, as the whole table was made."""
    from edge_ssd.errors import BackendError, BundleError

    litert = pytest.importorskip("ai_edge_litert")
    from importlib.metadata import version

    runtime = f"ai-edge-litert {'.'.join(version('ai-edge-litert').split('.')[:2])}"
    if runtime not in RUNTIMES:
        pytest.skip(f"{litert.__name__} here is not of the table")
    code = next(code for code, name in BUILTIN_NAMES.items() if name == operator)
    newest = max_version(operator, runtime)
    # A known operator gets as far as the missing signature; an unknown one is refused before.
    with pytest.raises(BundleError, match="no signature"):
        open_interpreter(one_operator_model(code, newest), backend="ai-edge-litert")
    with pytest.raises(BackendError, match="Didn't find op"):
        open_interpreter(one_operator_model(code, newest + 1), backend="ai-edge-litert")
