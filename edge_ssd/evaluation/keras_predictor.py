"""Predictor that runs a Keras TinySSD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_ssd.evaluation.evaluate import HeadOutputs
from edge_ssd.runtime.postprocess import Head

if TYPE_CHECKING:
    import keras

__all__ = ["KERAS_BATCH_SIZE", "KerasPredictor"]

# Larger batches are no faster on a CPU and cost memory.
KERAS_BATCH_SIZE = 16


class KerasPredictor:
    """Call with images uint8 [B, height, width, 3] to get a TinySSD's class and box heads of each, float32.

    The inference pass is compiled once, for any batch size. The weights are read at every call, so the outputs are
    those of the current weights of a model in training.
    """

    def __init__(self, model: keras.Model) -> None:
        import tensorflow as tf  # here, since evaluating a .tflite needs no TensorFlow

        height, width = model.network.input.size
        # No Python control flow depends on a tensor, so AutoGraph is not needed; it takes longer than tracing.
        self._forward = tf.function(
            lambda images: model.head_maps(images, training=False),
            input_signature=[tf.TensorSpec((None, height, width, 3), tf.uint8)],
            autograph=False,
        )

    def __call__(self, images: npt.NDArray[np.uint8]) -> list[HeadOutputs]:
        class_maps, box_maps = ([level.numpy() for level in maps] for maps in self._forward(images))
        return [
            ([Head(level[i]) for level in class_maps], [Head(level[i]) for level in box_maps])
            for i in range(len(images))
        ]
