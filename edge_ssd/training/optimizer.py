"""Optimizer of a training recipe, and its steps with a lower learning rate for some weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from edge_ssd.training.recipe import Recipe

__all__ = ["apply_gradients", "make_optimizer"]


def make_optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Return the recipe's optimizer with its learning-rate schedule; ``steps_per_epoch`` is the batches of an epoch."""
    rate: float | keras.optimizers.schedules.LearningRateSchedule = float(recipe.learning_rate)
    if recipe.cosine:
        warmup_steps = round(min(recipe.warmup_epochs, recipe.epochs / 2) * steps_per_epoch)
        rate = keras.optimizers.schedules.CosineDecay(
            recipe.learning_rate / 100 if warmup_steps else recipe.learning_rate,
            decay_steps=max(1, recipe.epochs * steps_per_epoch - warmup_steps),
            warmup_target=recipe.learning_rate if warmup_steps else None,
            warmup_steps=warmup_steps,
            alpha=0.01,
        )
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(rate, weight_decay=recipe.weight_decay)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, global_clipnorm=10.0)
    # Weight decay is for kernels; scales and shifts are not regularized.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[Any],
    slow: Sequence[Any] = (),
    slow_rate: float = 1.0,
) -> None:
    """Update ``variables`` by one step, and those of them that are ``slow`` with ``slow_rate`` times the learning rate.

    Both optimizers change a weight in proportion to the learning rate, by the gradient and by the weight decay, so that
    a share of the change is the change with that share of the rate. Scaled gradients would not do, as Adam normalizes
    them.
    """
    before = [tf.identity(variable) for variable in slow]
    optimizer.apply(gradients, variables)
    for variable, value in zip(slow, before, strict=True):
        variable.assign(value + slow_rate * (variable - value))
