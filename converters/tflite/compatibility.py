"""Will a model run there? Its operators against those of named runtimes, and what no runtime of ours takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from converters.tflite.op_versions import RUNTIMES, max_version
from converters.tflite.operators import Graph

__all__ = ["CompatibilityResult", "problems", "verdicts"]

# Custom operators that all of RUNTIMES have built in: probed like the others.
_BUILT_IN_CUSTOM = frozenset({"TFLite_Detection_PostProcess"})

# Versions do not say everything: a writer that leaves them at 1 makes a file that loads and then fails. Known, by
# operator and its types, and the runtimes that fail.
_TYPE_GAPS: dict[tuple[str, str], tuple[str, ...]] = {
    ("QUANTIZE", "int8 → int16"): ("tflite-runtime 2.14", "ai-edge-litert 1.4"),
    ("QUANTIZE", "uint8 → int16"): ("tflite-runtime 2.14", "ai-edge-litert 1.4"),
}

_FLEX = "Flex"  # TensorFlow's own operators, wrapped: their names start so


@dataclass(frozen=True)
class CompatibilityResult:
    """Whether a runtime has every operator of a model; ``missing`` names those that it has not."""

    runtime: str
    missing: tuple[str, ...]

    @property
    def runs(self) -> bool:
        return not self.missing

    def __str__(self) -> str:
        return f"{self.runtime}: {'yes' if self.runs else 'NO, it lacks ' + ', '.join(self.missing)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {"runtime": self.runtime, "runs": self.runs, "missing": list(self.missing)}


def verdicts(graph: Graph) -> tuple[CompatibilityResult, ...]:
    """One for each of :data:`~converters.tflite.op_versions.RUNTIMES`, by operator and version."""
    return tuple(CompatibilityResult(runtime, _missing(graph, runtime)) for runtime in RUNTIMES)


def problems(graph: Graph) -> tuple[str, ...]:
    """What keeps a model from running on boards, one line each; empty for every model that this project makes."""
    found = []
    for operator in graph.counted():
        if operator.custom and operator.name.startswith(_FLEX):
            found.append(
                f"{operator.name} is a TensorFlow operator (Flex), which no small runtime has: convert without "
                "SELECT_TF_OPS"
            )
        elif operator.custom and operator.name not in _BUILT_IN_CUSTOM:
            found.append(f"{operator.name} is a custom operator: a runtime needs a library of its own for it")
    if graph.dynamic:
        names = ", ".join(name or "a tensor without a name" for name in graph.dynamic[:3])
        more = f" and {len(graph.dynamic) - 3} more" if len(graph.dynamic) > 3 else ""
        found.append(f"the shape of {names}{more} is only known at run time: convert with a fixed input size and batch")
    return tuple(found)


def _missing(graph: Graph, runtime: str) -> tuple[str, ...]:
    missing = []
    for operator in graph.counted():
        newest = max_version(operator.name, runtime)
        if operator.custom:
            if operator.name not in _BUILT_IN_CUSTOM:
                missing.append(operator.name)
        elif operator.version > newest:
            missing.append(
                f"{operator.name} version {operator.version} (has {f'up to {newest}' if newest else 'none'})"
            )
    for use in graph.uses:
        if runtime in _TYPE_GAPS.get((use.operator.name, use.types), ()):
            missing.append(f"{use.operator.name} of {use.types}")
    return tuple(missing)
