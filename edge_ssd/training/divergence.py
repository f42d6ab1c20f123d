"""Detection of a training that diverges: the loss is not finite, or explodes, or stays huge, or the AP falls to 0."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge_ssd.training.recipe import Recipe

__all__ = ["has_collapsed", "has_diverged", "is_low", "is_suspect"]

# Epochs in a row that must be suspect: a spike, from which training recovers, is normal.
_PATIENCE = 3
# Epochs whose median loss is the smoothed loss.
_WINDOW = 3
_FACTOR = 10.0
# Each term of the loss is a mean over anchors: below 100 for an untrained network. This one needs no patience.
_MAX_TERM = 1e4
# A training that works falls below this in its first epochs, and by more than half in three of them.
_HUGE_TERM = 100.0
# An AP is good from here on; a lower one may fall to 0 by chance, where there are few validation images.
_GOOD_AP = 0.1
_LOW = 0.02


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
    """Return whether to stop.

    That is so if a loss is not finite or out of any bound, if three epochs in a row are suspect, or if the loss is huge
    in three epochs in a row and does not fall by half in them.
    """
    if not losses:
        return False
    newest = losses[-_PATIENCE:]
    huge = _HUGE_TERM * _sum_of_weights(recipe)
    if len(newest) == _PATIENCE and min(newest) > huge and newest[-1] > newest[0] / 2:
        return True
    last = [losses[:count] for count in range(len(losses), 0, -1)][:_PATIENCE]
    return _is_out_of_bounds(losses[-1], recipe) or (
        len(last) == _PATIENCE and all(is_suspect(part, recipe) for part in last)
    )


def is_low(precisions: Sequence[float]) -> bool:
    """Return whether the AP of the last epoch is near 0 after good epochs, though its loss may be normal.

    That is so if it is below 2 % of the highest smoothed AP before (the median of three epochs), which is at least 0.1.
    """
    *before, last = precisions
    if len(before) < _WINDOW:
        return False
    best = np.median(np.lib.stride_tricks.sliding_window_view(before, _WINDOW), axis=1).max()
    return bool(best >= _GOOD_AP and last < _LOW * best)


def has_collapsed(precisions: Sequence[float], is_finished: bool) -> bool:
    """Return whether to stop: the AP is low in three epochs in a row, or in the one that ends the run."""
    parts = [precisions[:count] for count in range(len(precisions), 0, -1)][: 1 if is_finished else _PATIENCE]
    return len(parts) == (1 if is_finished else _PATIENCE) and all(map(is_low, parts))


def _is_out_of_bounds(loss: float, recipe: Recipe) -> bool:
    return not math.isfinite(loss) or loss > _MAX_TERM * _sum_of_weights(recipe)


def _sum_of_weights(recipe: Recipe) -> float:
    """Return the sum of the weights of the loss's terms."""
    return 1 + recipe.box_weight + recipe.teacher_weight
