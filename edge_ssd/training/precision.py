"""Which precision trains faster on this machine: measured, since names of processors do not tell."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

import tensorflow as tf

from edge_ssd.training.recipe import Recipe

__all__ = ["fastest_precision", "resolve_precision"]


def resolve_precision(recipe: Recipe) -> Recipe:
    """``recipe`` with "auto" replaced by what is faster here."""
    return replace(recipe, precision=fastest_precision()) if recipe.precision == "auto" else recipe


def fastest_precision(rounds: int = 5) -> Literal["float32", "mixed_bfloat16"]:
    """Time a convolution of the network's kind and its gradients in both precisions; takes about a second.

    bfloat16 pays where the processor or the GPU has instructions for it, and costs dearly where it has not.
    """

    def seconds(dtype: tf.DType) -> float:
        features = tf.ones((8, 64, 64, 32), dtype)
        kernel = tf.Variable(tf.ones((3, 3, 32, 32), dtype))

        @tf.function
        def step() -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(features)
                loss = tf.reduce_sum(tf.nn.relu(tf.nn.conv2d(features, kernel, 1, "SAME")))
            return tape.gradient(loss, [features, kernel])[1]

        step().numpy()
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            step().numpy()
            times.append(time.perf_counter() - start)
        return min(times)

    # A close race goes to float32, which has nothing to lose.
    return "mixed_bfloat16" if seconds(tf.bfloat16) < 0.9 * seconds(tf.float32) else "float32"
