"""Comparison of a model's inputs and outputs with the description in its bundle."""

from __future__ import annotations

from edge_ssd.errors import BundleError
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.interpreter import Interpreter

__all__ = ["check_tensors"]


def check_tensors(interpreter: Interpreter, bundle: Bundle) -> None:
    """Raise BundleError if the flatbuffer lacks the inputs or outputs of the description."""
    height, width = bundle.network.input.size
    if interpreter.input_shape != (1, height, width, 3) or interpreter.input_name != bundle.details.input_name:
        raise BundleError(
            f"the model's input is {interpreter.input_name!r} {list(interpreter.input_shape)}, "
            f"expected {bundle.details.input_name!r} {[1, height, width, 3]}; convert it again"
        )
    for head in bundle.heads:
        numbers = bundle.network.num_classes + 1 if head.kind == "classes" else 4
        expected = (1, head.height, head.width, head.anchors_per_cell * numbers)
        actual = interpreter.output_shapes.get(head.output)
        if actual != expected:
            raise BundleError(
                f"the model's output {head.output!r} is {actual or 'missing'}, expected {expected}; convert it again"
            )
