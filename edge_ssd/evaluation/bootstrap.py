"""Confidence interval of a difference of two average precisions: a paired bootstrap over images.

The images are resampled with replacement a thousand times. Both models are scored on the same samples, so that easy and
hard images affect both alike. The interval is the middle 95 % of the differences.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_ssd.evaluation.matching import ClassMatches, weighted_ap

__all__ = ["RESAMPLES", "Interval", "paired_bootstrap_ci"]

RESAMPLES = 1000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """Ends of a 95 % confidence interval."""

    low: float
    high: float


def paired_bootstrap_ci(
    one: Sequence[ClassMatches], other: Sequence[ClassMatches], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """Return the 95 % confidence interval of AP(one) − AP(other), both matched on the same images.

    It comes from ``resamples`` draws of the images, the same ones for the same ``seed``. It is None for fewer than two
    images, or where no resample has an object.
    """
    num_images = len(one[0].objects) if one else 0
    if num_images < 2:
        return None
    rng = np.random.default_rng(seed)
    differences = []
    for _ in range(resamples):
        weights = np.bincount(rng.integers(0, num_images, num_images), minlength=num_images).astype(np.float32)
        differences.append(weighted_ap(one, weights) - weighted_ap(other, weights))
    measured = np.array(differences)[np.isfinite(differences)]
    if not measured.size:
        return None
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(measured, (tail, 1 - tail)).tolist()
    return Interval(low, high)
