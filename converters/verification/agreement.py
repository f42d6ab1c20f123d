"""Do two models see the same objects? Their detections of the same pictures, box by box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_ssd.boxes import box_iou
from edge_ssd.runtime.detections import Detections

__all__ = ["MATCH_IOU", "Agreement", "agreement", "detection_differences"]

# Two boxes of one class that overlap so much are the same detection, moved a little.
MATCH_IOU = 0.5


@dataclass(frozen=True)
class Agreement:
    """How the detections of two models compare, of those with at least ``score_threshold`` in either.

    Attributes:
        matched: pairs of the same class with IoU ≥ 0.5.
        only_float, only_converted: shown by one of them; the other has no such box, or scores it under the threshold.
        mean_iou, low_iou: of the pairs; ``low_iou`` is what 95 % of them reach. None without a pair.
        mean_score_drift: converted − float; ``high_score_drift`` is what 95 % of the differences stay within.
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
        """Plain JSON types."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


def agreement(before: Sequence[Detections], after: Sequence[Detections], score_threshold: float) -> Agreement:
    """Compare the float model's detections with the converted one's, one value a picture each, in the same order."""
    overlaps: list[float] = []
    drifts: list[float] = []
    alone = [0, 0]
    for one, other in zip(before, after, strict=True):
        pairs = _pairs(one, other)
        for i, j, overlap in pairs:
            shown = (float(one.confidence[i]) >= score_threshold, float(other.confidence[j]) >= score_threshold)
            if all(shown):
                overlaps.append(overlap)
                drifts.append(float(other.confidence[j]) - float(one.confidence[i]))
            elif any(shown):
                alone[0 if shown[0] else 1] += 1
        for side, (found, matched) in enumerate(((one, {i for i, _, _ in pairs}), (other, {j for _, j, _ in pairs}))):
            shown_here = np.flatnonzero(found.confidence >= score_threshold).tolist()
            alone[side] += sum(index not in matched for index in shown_here)
    return Agreement(
        score_threshold=score_threshold,
        matched=len(overlaps),
        only_float=alone[0],
        only_converted=alone[1],
        mean_iou=float(np.mean(overlaps)) if overlaps else None,
        low_iou=float(np.quantile(overlaps, 0.05)) if overlaps else None,
        mean_score_drift=float(np.mean(drifts)) if drifts else None,
        high_score_drift=float(np.quantile(np.abs(drifts), 0.95)) if drifts else None,
    )


def detection_differences(one: Detections, other: Detections, score_threshold: float) -> float:
    """How differently two models see one picture: 0 for the same, about 1 for every object only one of them sees.

    Of the detections with at least ``score_threshold``, each takes the best overlap that the other model has in
    its class; what is missing of 1 is added up, and what the scores differ by.
    """
    total = 0.0
    for mine, theirs in ((one, other), (other, one)):
        shown = mine.confidence >= score_threshold
        if not shown.any():
            continue
        iou = box_iou(mine.xyxy[shown], theirs.xyxy)
        iou = np.where(mine.class_id[shown, None] == theirs.class_id[None, :], iou, 0)
        if iou.shape[1] == 0:
            total += float(shown.sum())
            continue
        best = iou.argmax(axis=1)
        overlap = iou[np.arange(len(best)), best]
        scores = np.where(overlap > 0, np.abs(mine.confidence[shown] - theirs.confidence[best]), 0)
        total += float((1 - overlap).sum() + scores.sum())
    return total / 2


def _pairs(one: Detections, other: Detections) -> list[tuple[int, int, float]]:
    """Indices of detections of the same class that belong together, and their IoU: the largest overlaps first."""
    iou = box_iou(one.xyxy, other.xyxy)
    iou = np.where(one.class_id[:, None] == other.class_id[None, :], iou, 0)
    rows, columns = np.nonzero(iou >= MATCH_IOU)
    overlaps = iou[rows, columns]
    used: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for index in np.argsort(-overlaps, kind="stable").tolist():
        i, j = int(rows[index]), int(columns[index])
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            pairs.append((i, j, float(overlaps[index])))
    return pairs
