"""Precision–recall curve, averaged over the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge_ssd.evaluation.matching import IOU_THRESHOLDS, ClassMatches, precision_at_recalls

__all__ = ["CURVE_IOUS", "mean_precision"]

CURVE_IOUS: tuple[float, ...] = (0.5, 0.75)
"""IoU thresholds of the reported curves: those of AP50 and AP75."""


def mean_precision(classes: Sequence[ClassMatches], iou: float) -> npt.NDArray[np.float64] | None:
    """Return precision [101] at recalls 0, 0.01, … 1, averaged over the classes with objects; None without objects."""
    row = int(np.argmin(np.abs(np.array(IOU_THRESHOLDS) - iou)))
    tables = [precision_at_recalls(matches) for matches in classes]
    rows = [table[row] for table in tables if table is not None]
    mean: npt.NDArray[np.float64] | None = np.mean(rows, axis=0) if rows else None
    return mean
