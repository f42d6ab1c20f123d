"""How sure a difference of two average precisions is: a paired bootstrap over images.

The images are drawn again, with replacement, a thousand times; both models are scored on the same draw each time,
so that what they have in common (an easy or a hard image) drops out of the difference. The interval is the middle
95 % of the differences (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_ssd.evaluation.matching import ClassMatches, weighted_ap

__all__ = ["RESAMPLES", "Interval", "paired_bootstrap_ci"]

RESAMPLES = 1000
_SHARE = 0.95


@dataclass(frozen=True)
class Interval:
    """Ends of a 95 % interval."""

    low: float
    high: float


def paired_bootstrap_ci(
    one: Sequence[ClassMatches], other: Sequence[ClassMatches], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """The interval of AP(one) − AP(other), both matched on the same images.

    None for fewer than two images, of which nothing can be drawn. The same seed gives the same interval.
    """
    images = len(one[0].objects) if one else 0
    if images < 2:
        return None
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(resamples):
        weights = np.bincount(rng.integers(0, images, images), minlength=images).astype(np.float32)
        differences.append(weighted_ap(one, weights) - weighted_ap(other, weights))
    # A draw may have no object at all, where images without objects are many.
    measured = np.array(differences)[np.isfinite(differences)]
    if not measured.size:
        return None
    tail = (1 - _SHARE) / 2
    low, high = np.quantile(measured, (tail, 1 - tail)).tolist()
    return Interval(low, high)
