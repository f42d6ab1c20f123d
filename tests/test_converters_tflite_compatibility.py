"""Compatibility of models with named runtimes; the operator table is compared with the installed runtime."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from tflite_models import one_operator_model

from converters.tflite.compatibility import check_compatibility, portability_problems
from converters.tflite.op_versions import OPERATOR_NAMES, RUNTIMES, max_version
from converters.tflite.operators import Graph, Operator, OperatorUse, read_graph
from edge_ssd.errors import BackendError, BundleError
from edge_ssd.runtime.interpreter import open_interpreter

_FLOAT32, _INT8, _INT16 = 0, 9, 7


def graph(name: str, version: int = 1, types: str = "int8 → int8", custom: bool = False) -> Graph:
    return Graph((OperatorUse(Operator(name, version, custom), types, 1),), ())


def runs(graph: Graph) -> list[bool]:
    return [result.runs for result in check_compatibility(graph)]


def test_read_graph_skips_optional_tensors():
    result = read_graph(one_operator_model(114, 2, types=(_INT8, _INT16)))
    assert result == Graph((OperatorUse(Operator("QUANTIZE", 2), "int8 → int16", 1),), ())


def test_check_compatibility_names_unsupported_version():
    # Dynamic-range Dense as current converters write it.
    assert list(map(str, check_compatibility(graph("FULLY_CONNECTED", 12)))) == [
        "tflite-runtime 2.14: NO, it lacks FULLY_CONNECTED version 12 (has up to 10)",
        "ai-edge-litert 1.4: yes",
        "ai-edge-litert 2.3: yes",
    ]


def test_check_compatibility_names_missing_operator():
    oldest, *newer = check_compatibility(graph("STABLEHLO_COMPOSITE"))
    assert oldest.missing == ("STABLEHLO_COMPOSITE version 1 (has none)",)
    assert all(result.runs for result in newer)


def test_check_compatibility_refuses_unsupported_types():
    assert runs(graph("QUANTIZE", 1, "int8 → int16")) == [False, False, True]
    assert runs(graph("QUANTIZE", 1, "float32 → int16")) == [True, True, True]


def test_portability_problems_names_flex_custom_and_dynamic():
    (problem,) = portability_problems(read_graph(one_operator_model(32, 1, "FlexErf", types=(_FLOAT32, _FLOAT32))))
    assert problem.startswith("FlexErf is a TensorFlow operator (Flex)")
    (problem,) = portability_problems(graph("MyOp", custom=True))
    assert problem.startswith("MyOp is a custom operator")
    assert not any(runs(graph("MyOp", custom=True)))
    dynamic = one_operator_model(19, 1, types=(_FLOAT32, _FLOAT32), dynamic=True)
    (problem,) = portability_problems(read_graph(dynamic))
    assert problem.startswith("the shape of t0, t1 is only known at run time")


def test_detection_postprocess_operator_is_portable():
    postprocess = graph("TFLite_Detection_PostProcess", custom=True)
    assert portability_problems(postprocess) == ()
    assert all(runs(postprocess))


@pytest.mark.parametrize("operator", ["CONV_2D", "FULLY_CONNECTED", "QUANTIZE", "CAST", "STABLEHLO_ADD", "SKIP_GRAM"])
def test_op_versions_match_installed_runtime(operator: str):
    """Load one version within the table and one beyond it, as the table was measured."""
    pytest.importorskip("ai_edge_litert")
    runtime = f"ai-edge-litert {'.'.join(version('ai-edge-litert').split('.')[:2])}"
    if runtime not in RUNTIMES:
        pytest.skip(f"{runtime} is not in the table")
    code = next(code for code, name in OPERATOR_NAMES.items() if name == operator)
    newest = max_version(operator, runtime)
    # A model with a known operator fails later, for its missing signature.
    with pytest.raises(BundleError, match="no signature"):
        open_interpreter(one_operator_model(code, newest), backend="ai-edge-litert")
    with pytest.raises(BackendError, match="Didn't find op"):
        open_interpreter(one_operator_model(code, newest + 1), backend="ai-edge-litert")
