"""Optimizer of a training recipe."""

from __future__ import annotations

import keras

from edge_ssd.training.recipe import Recipe

__all__ = ["make_optimizer"]


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
