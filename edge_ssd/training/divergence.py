"""Detection of a training that diverges: the loss is not finite, or it explodes and stays there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge_ssd.training.recipe import Recipe

__all__ = ["has_diverged", "is_suspect"]

# Epochs in a row that must be suspect: a spike, from which training recovers, is normal.
_PATIENCE = 3
# Epochs whose median loss is the smoothed loss.
_WINDOW = 3
_FACTOR = 10.0
# Each term of the loss is a mean over anchors: below 100 for an untrained network. This one needs no patience.
_MAX_TERM = 1e4


def is_suspect(losses: Sequence[float], recipe: Recipe) -> bool:
    """Return whether the last epoch may be diverging: its model is not kept until a later epoch is normal again.

    That is so if its loss is more than ten times the lowest smoothed loss before. Since a loss near zero may rise by
    such a factor harmlessly, it must also be back at half of the first epoch's loss.

    Args:
        losses: mean loss of every epoch so far, at least one.
    """
    *before, loss = losses
    if _is_out_of_bounds(loss, recipe):
        return True
    if not before:
        return False
    windows = np.lib.stride_tricks.sliding_window_view(before, min(_WINDOW, len(before)))
    # The median, unlike the mean, does not contain a spike.
    lowest = np.median(windows, axis=1).min()
    return bool(loss > _FACTOR * lowest and loss > before[0] / 2)


def has_diverged(losses: Sequence[float], recipe: Recipe) -> bool:
    """Return whether to stop: a loss is not finite or out of any bound, or three epochs in a row are suspect."""
    if not losses:
        return False
    last = [losses[:count] for count in range(len(losses), 0, -1)][:_PATIENCE]
    return _is_out_of_bounds(losses[-1], recipe) or (
        len(last) == _PATIENCE and all(is_suspect(part, recipe) for part in last)
    )


def _is_out_of_bounds(loss: float, recipe: Recipe) -> bool:
    return not math.isfinite(loss) or loss > _MAX_TERM * (1 + recipe.box_weight + recipe.teacher_weight)
