"""Choice of the computation precision by a measurement on this machine."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

import tensorflow as tf

from edge_ssd.training.recipe import Recipe

__all__ = ["fastest_precision", "resolve_precision"]


def resolve_precision(recipe: Recipe) -> Recipe:
    """Return ``recipe`` with the precision "auto" replaced by the faster one on this machine."""
    return replace(recipe, precision=fastest_precision()) if recipe.precision == "auto" else recipe


def fastest_precision(rounds: int = 5) -> Literal["float32", "mixed_bfloat16"]:
    """Return the faster precision for a convolution with gradients, timed ``rounds`` times in each: about a second.

    bfloat16 is faster where the processor or GPU has instructions for it, and much slower elsewhere.
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

    # Prefer float32 if the difference is small: it loses no precision.
    return "mixed_bfloat16" if seconds(tf.bfloat16) < 0.9 * seconds(tf.float32) else "float32"
