"""edge_ssd.training.optimizer: the steps of weights with a lower learning rate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402 (after the check that TensorFlow is installed)

from edge_ssd.training.optimizer import apply_gradients, make_optimizer  # noqa: E402
from edge_ssd.training.recipe import Recipe  # noqa: E402

GRADIENTS = [[0.3, -2.0], [0.1, 0.5], [-0.4, 0.2]]  # of three steps


def trained(recipe: Recipe, slow_rate: float) -> tuple[list[float], list[float]]:
    """Return two equal weights after three steps with equal gradients; the first is slow."""
    slow, fast = (keras.Variable([1.0, -2.0], name=name) for name in ("slow", "fast"))
    optimizer = make_optimizer(recipe, steps_per_epoch=3)
    optimizer.build([slow, fast])

    @tf.function
    def step(gradient: Any) -> None:
        apply_gradients(optimizer, [gradient, gradient], [slow, fast], [slow], slow_rate)

    for gradient in GRADIENTS:
        step(tf.constant(gradient))
    return slow.numpy().tolist(), fast.numpy().tolist()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_slow_weights_train_with_the_share_of_the_learning_rate(optimizer: Any) -> None:
    recipe = Recipe(optimizer=optimizer, learning_rate=0.1, weight_decay=0.2, epochs=2)
    slow, fast = trained(recipe, 0.25)
    assert np.abs(np.subtract(slow, fast)).min() > 0.001
    # The weights of the same optimizer with a quarter of the learning rate.
    expected, _ = trained(replace(recipe, learning_rate=0.025), 1.0)
    np.testing.assert_allclose(slow, expected, rtol=1e-5)
    np.testing.assert_allclose(fast, trained(recipe, 1.0)[1], rtol=1e-6)
    assert trained(recipe, 0.0)[0] == [1.0, -2.0]
