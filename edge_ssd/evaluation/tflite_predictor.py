"""Predictor that runs a bundle with the runtime's own interpreter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_ssd.errors import BackendError, BundleError
from edge_ssd.evaluation.evaluate import HeadOutputs
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.interpreter import Backend, open_interpreter

__all__ = ["TFLitePredictor"]


class TFLitePredictor:
    """Call with images uint8 [B, height, width, 3] to get class and box heads of each, quantized as in the model.

    Raises:
        BackendError: no interpreter on this machine can run the model.
        BundleError: the model lacks an output that the bundle's description names.
    """

    def __init__(self, bundle: Bundle, num_threads: int | None = None, backend: Backend = "auto") -> None:
        try:
            self._interpreter = open_interpreter(bundle.flatbuffer, num_threads, backend)
        except (BackendError, BundleError) as error:
            raise type(error)(f"{bundle.source}: {error}") from None
        missing = {head.output for head in bundle.heads} - set(self._interpreter.output_shapes)
        if missing:
            raise BundleError(f"{bundle.source}: the model has no output {min(missing)!r}; convert it again")
        self._class_heads, self._box_heads = bundle.details.class_heads, bundle.details.box_heads

    def __call__(self, images: npt.NDArray[np.uint8]) -> list[HeadOutputs]:
        outputs = [self._interpreter.invoke(image) for image in images]
        return [
            ([heads[head.output] for head in self._class_heads], [heads[head.output] for head in self._box_heads])
            for heads in outputs
        ]
