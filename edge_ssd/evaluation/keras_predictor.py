"""A Keras TinySSD as something that can be evaluated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.evaluation.evaluate import Heads, HeadsFunction
from edge_ssd.runtime.postprocess import Head

__all__ = ["KERAS_BATCH_SIZE", "KerasPredictor"]

# Larger batches bring nothing more on a CPU and cost memory.
KERAS_BATCH_SIZE = 16


def KerasPredictor(model: Any) -> HeadsFunction:
    """Wrap a ``TinySSD``: pictures uint8 [B, height, width, 3] → float32 heads of each.

    The model's inference pass is compiled once, for any batch size. The weights are read at every call, so that the
    result keeps up with a model in training.
    """
    # Here and not at the top: who evaluates a .tflite needs no TensorFlow.
    import tensorflow as tf

    height, width = model.network.input.size
    signature = [tf.TensorSpec((None, height, width, 3), tf.uint8)]
    # Nothing in the pass branches on a tensor: it needs no rewriting of its source, which takes longer than tracing.
    forward = tf.function(
        lambda pictures: model.head_maps(pictures, training=False), input_signature=signature, autograph=False
    )

    def heads(images: npt.NDArray[np.uint8]) -> list[Heads]:
        class_maps, box_maps = ([level.numpy() for level in maps] for maps in forward(images))
        return [
            ([Head(level[i]) for level in class_maps], [Head(level[i]) for level in box_maps])
            for i in range(len(images))
        ]

    return heads
