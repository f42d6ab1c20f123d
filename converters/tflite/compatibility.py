"""Check whether TFLite runtimes support the operators of a model, and what prevents it from running on boards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from converters.tflite.op_versions import RUNTIMES, max_version
from converters.tflite.operators import Graph

__all__ = ["CompatibilityResult", "check_compatibility", "graph_to_dict", "portability_problems"]

# Custom operators that every runtime of RUNTIMES registers, measured like the built-in ones.
_REGISTERED_CUSTOM = frozenset({"TFLite_Detection_PostProcess"})

# Operator and tensor types → runtimes that fail although they have the operator's version: some writers leave the
# version at 1, and the model loads but does not run.
_UNSUPPORTED_TYPES: dict[tuple[str, str], tuple[str, ...]] = {
    ("QUANTIZE", "int8 → int16"): ("tflite-runtime 2.14", "ai-edge-litert 1.4"),
    ("QUANTIZE", "uint8 → int16"): ("tflite-runtime 2.14", "ai-edge-litert 1.4"),
}

_FLEX_PREFIX = "Flex"  # of TensorFlow operators that are wrapped as custom operators (SELECT_TF_OPS)


@dataclass(frozen=True)
class CompatibilityResult:
    """Whether ``runtime`` has every operator of a model; ``missing`` describes those that it lacks."""

    runtime: str
    missing: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Whether the runtime has every operator of the model."""
        return not self.missing

    def __str__(self) -> str:
        return f"{self.runtime}: {'yes' if self.runs else 'NO, it lacks ' + ', '.join(self.missing)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dictionary of plain JSON types."""
        return {"runtime": self.runtime, "runs": self.runs, "missing": list(self.missing)}


def check_compatibility(graph: Graph) -> tuple[CompatibilityResult, ...]:
    """Return what each of :data:`~converters.tflite.op_versions.RUNTIMES` lacks for ``graph``, in that order."""
    return tuple(CompatibilityResult(runtime, _missing(graph, runtime)) for runtime in RUNTIMES)


def portability_problems(graph: Graph) -> tuple[str, ...]:
    """Return what prevents a model from running on boards, one line each; empty for models of this project."""
    problems = []
    for operator in graph.operator_counts():
        if operator.custom and operator.name.startswith(_FLEX_PREFIX):
            problems.append(
                f"{operator.name} is a TensorFlow operator (Flex), which no small runtime has: convert without "
                "SELECT_TF_OPS"
            )
        elif operator.custom and operator.name not in _REGISTERED_CUSTOM:
            problems.append(f"{operator.name} is a custom operator: a runtime needs an extra library for it")
    if graph.dynamic_tensors:
        names = ", ".join(name or "a tensor without a name" for name in graph.dynamic_tensors[:3])
        more = f" and {len(graph.dynamic_tensors) - 3} more" if len(graph.dynamic_tensors) > 3 else ""
        problems.append(
            f"the shape of {names}{more} is only known at run time: convert with a fixed input size and batch"
        )
    return tuple(problems)


def graph_to_dict(graph: Graph) -> dict[str, Any]:
    """Return a model's operators, the runtimes that lack some, and its portability problems as plain JSON types."""
    return {
        "operators": [use.to_dict() for use in graph.uses],
        "targets": [result.to_dict() for result in check_compatibility(graph)],
        "problems": list(portability_problems(graph)),
    }


def _missing(graph: Graph, runtime: str) -> tuple[str, ...]:
    missing = []
    for operator in graph.operator_counts():
        newest = max_version(operator.name, runtime)
        if operator.custom:
            if operator.name not in _REGISTERED_CUSTOM:
                missing.append(operator.name)
        elif operator.version > newest:
            missing.append(
                f"{operator.name} version {operator.version} (has {f'up to {newest}' if newest else 'none'})"
            )
    for use in graph.uses:
        if runtime in _UNSUPPORTED_TYPES.get((use.operator.name, use.types), ()):
            missing.append(f"{use.operator.name} of {use.types}")
    return tuple(missing)
