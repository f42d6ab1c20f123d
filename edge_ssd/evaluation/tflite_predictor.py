"""A bundle as something that can be evaluated, through the runtime's own interpreter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_ssd.errors import BackendError, BundleError
from edge_ssd.evaluation.evaluate import Heads, HeadsFunction
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.interpreter import Backend, open_interpreter

__all__ = ["TFLitePredictor"]


def TFLitePredictor(bundle: Bundle, num_threads: int | None = None, backend: Backend = "auto") -> HeadsFunction:
    """Wrap a bundle: pictures uint8 [B, height, width, 3] → heads of each, quantised as the model gives them.

    Raises :class:`BackendError` when no interpreter here runs it, :class:`BundleError` when its outputs are not those
    that its description names.
    """
    try:
        interpreter = open_interpreter(bundle.flatbuffer, num_threads, backend)
    except (BackendError, BundleError) as error:
        raise type(error)(f"{bundle.path}: {error}") from None
    missing = {head.output for head in bundle.heads} - set(interpreter.output_shapes)
    if missing:
        raise BundleError(f"{bundle.path}: the model has no output {min(missing)!r}; convert it again")

    def heads(images: npt.NDArray[np.uint8]) -> list[Heads]:
        outputs = [interpreter.invoke(image) for image in images]
        return [
            (
                [found[head.output] for head in bundle.details.class_heads],
                [found[head.output] for head in bundle.details.box_heads],
            )
            for found in outputs
        ]

    return heads
