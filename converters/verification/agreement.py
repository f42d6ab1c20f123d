"""Agreement of two models: their detections in the same images, compared box by box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import box_iou, match_greedily
from edge_ssd.runtime.detections import Detections

__all__ = ["MATCH_IOU", "Agreement", "compare_detections", "detection_difference"]

MATCH_IOU = 0.5
"""Minimum IoU of two boxes of one class that count as the same detection."""


@dataclass(frozen=True)
class Agreement:
    """Comparison of the detections of two models with a score of at least ``score_threshold`` in either.

    Attributes:
        matched: number of pairs of the same class with IoU ≥ 0.5.
        only_float, only_converted: number of detections that the other model lacks or scores below the threshold.
        mean_iou, low_iou: mean and 5 % quantile of the IoU of the pairs. None without a pair.
        mean_score_drift: mean score difference of the pairs, converted − float. None without a pair.
        high_score_drift: 95 % quantile of the absolute score difference. None without a pair.
    """

    score_threshold: float
    matched: int
    only_float: int
    only_converted: int
    mean_iou: float | None
    low_iou: float | None
    mean_score_drift: float | None
    high_score_drift: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dictionary of plain JSON types, rounded to six digits."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


def compare_detections(
    float_detections: Sequence[Detections], converted_detections: Sequence[Detections], score_threshold: float
) -> Agreement:
    """Compare two models' detections, one entry per image, that score at least ``score_threshold`` in either model."""
    overlaps: list[float] = []
    drifts: list[float] = []
    unmatched = [0, 0]
    for detections in zip(float_detections, converted_detections, strict=True):
        scores = [side.confidence.tolist() for side in detections]
        is_confident = [side.confidence >= score_threshold for side in detections]
        iou = _class_iou(*detections)
        for i, j in match_greedily(iou, MATCH_IOU):
            if is_confident[0][i] and is_confident[1][j]:
                overlaps.append(float(iou[i, j]))
                drifts.append(scores[1][j] - scores[0][i])
                is_confident[0][i] = is_confident[1][j] = False
        for side in range(2):
            unmatched[side] += int(is_confident[side].sum())
    return Agreement(
        score_threshold=score_threshold,
        matched=len(overlaps),
        only_float=unmatched[0],
        only_converted=unmatched[1],
        mean_iou=float(np.mean(overlaps)) if overlaps else None,
        low_iou=float(np.quantile(overlaps, 0.05)) if overlaps else None,
        mean_score_drift=float(np.mean(drifts)) if drifts else None,
        high_score_drift=float(np.quantile(np.abs(drifts), 0.95)) if drifts else None,
    )


def detection_difference(one: Detections, other: Detections, score_threshold: float) -> float:
    """Return how much two models differ in one image: 0 for equal detections, about 1 per object that only one has.

    For each detection with a score of at least ``score_threshold``, take the best overlap with the other model's
    detections of the same class. Sum up 1 − IoU and the score differences, and halve the sum.
    """
    total = 0.0
    for all_ours, theirs in ((one, other), (other, one)):
        ours = all_ours[all_ours.confidence >= score_threshold]
        if theirs.is_empty():
            total += float(len(ours))
            continue
        if ours.is_empty():
            continue
        iou = _class_iou(ours, theirs)
        best = iou.argmax(axis=1)
        overlap = iou[np.arange(len(best)), best]
        scores = np.where(overlap > 0, np.abs(ours.confidence - theirs.confidence[best]), 0)
        total += float((1 - overlap).sum() + scores.sum())
    return total / 2


def _class_iou(one: Detections, other: Detections) -> npt.NDArray[np.floating[Any]]:
    """Return the IoU [N, M] of all pairs; 0 for different classes."""
    return np.where(one.class_id[:, None] == other.class_id[None, :], box_iou(one.xyxy, other.xyxy), 0)
