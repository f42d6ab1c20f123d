"""True and false positives per image by COCO's rules, the input of precision–recall curves and bootstrap intervals.

Reported values come from :mod:`edge_ssd.evaluation.average_precision`, a widely used evaluator. This module repeats its
matching with weights per image: a bootstrap needs a thousand weightings, for which the evaluator would take minutes. A
test checks that both give the same average precision.

Source: Lin et al., "Microsoft COCO", 2014, and the reference evaluator: within an image and class, detections in
descending order of score each match the unmatched object of highest IoU, if that is at least the threshold. Precision
is made monotonically decreasing and sampled at 101 recalls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, box_iou
from edge_ssd.data.dataset import Dataset
from edge_ssd.evaluation.average_precision import MAX_DETECTIONS
from edge_ssd.runtime.detections import Detections

__all__ = ["IOU_THRESHOLDS", "RECALLS", "ClassMatches", "match_images", "precision_at_recalls", "weighted_ap"]

IOU_THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""COCO's: 0.50, 0.55, … 0.95."""

RECALLS: npt.NDArray[np.float64] = np.linspace(0.0, 1.0, 101)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassMatches:
    """The D detections of one class in all P images, best score first.

    Attributes:
        scores: float64 [D].
        true_positive: bool [10, D], whether it matches an object at each of :data:`IOU_THRESHOLDS`.
        images: int64 [D], index of the detection's image.
        objects: int64 [P], number of objects of the class in each image.
    """

    scores: Floats
    true_positive: npt.NDArray[np.bool_]
    images: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int64]


def match_images(dataset: Dataset, predictions: Sequence[Detections]) -> list[ClassMatches]:
    """Match ``predictions``, one per sample of ``dataset``, with the samples' objects; return one value per label."""
    return [_match_class(dataset, predictions, class_id) for class_id in range(len(dataset.labels))]


def precision_at_recalls(matches: ClassMatches, weights: FloatArray | None = None) -> Floats | None:
    """Return precision [10, 101] at the IoUs 0.5, 0.55, … 0.95 and recalls 0, 0.01, … 1; None without objects.

    Args:
        weights: [P], weight of each image. Integers are equivalent to that many copies of the image (equal scores in
            different images keep the images' order).
    """
    counts = np.ones(len(matches.objects)) if weights is None else np.asarray(weights, np.float64)
    total = float(counts @ matches.objects)
    if total == 0:
        return None
    weight = counts[matches.images]
    kept = weight > 0
    weight, true_positive = weight[kept], matches.true_positive[:, kept]
    result = np.zeros((len(IOU_THRESHOLDS), len(RECALLS)))
    if not len(weight):
        return result
    num_detections = np.cumsum(weight)
    for row, hits in zip(result, true_positive, strict=True):
        positions = np.flatnonzero(hits)  # recall grows at true positives only
        if not len(positions):
            continue
        num_hits = np.cumsum(weight[positions])
        precision = np.maximum.accumulate((num_hits / num_detections[positions])[::-1])[::-1]
        index = np.searchsorted(num_hits / total, RECALLS, side="left")
        reached = index < len(positions)
        row[reached] = precision[index[reached]]
    return result


def weighted_ap(classes: Sequence[ClassMatches], weights: FloatArray | None = None) -> float:
    """Return the mean AP over classes with objects and IoU thresholds, images weighted by ``weights`` [P]; else NaN."""
    tables = [precision_at_recalls(matches, weights) for matches in classes]
    means = [float(table.mean()) for table in tables if table is not None]
    return float(np.mean(means)) if means else float("nan")


def _match_class(dataset: Dataset, predictions: Sequence[Detections], class_id: int) -> ClassMatches:
    scores, true_positive, images, objects = [], [], [], []
    for i, (sample, detections) in enumerate(zip(dataset.samples, predictions, strict=True)):
        truth = sample.boxes_xyxy[sample.class_ids == class_id]
        objects.append(len(truth))
        of_class = np.flatnonzero(detections.class_id == class_id)
        # Stable sorts: of equal scores the earlier one stays first.
        order = of_class[np.argsort(-detections.confidence[of_class], kind="stable")][:MAX_DETECTIONS]
        scores.append(detections.confidence[order].astype(np.float64))
        true_positive.append(_match(box_iou(detections.xyxy[order], truth, np.float64)))
        images.append(np.full(len(order), i, np.int64))
    joined = np.concatenate(scores) if scores else np.zeros(0)
    order = np.argsort(-joined, kind="stable")
    return ClassMatches(
        joined[order],
        np.concatenate(true_positive, axis=1)[:, order],
        np.concatenate(images)[order],
        np.array(objects, np.int64),
    )


def _match(iou: Floats) -> npt.NDArray[np.bool_]:
    """Return whether each detection matches an object, bool [10, D], for IoU [D, G] with the best detection first."""
    detections, objects = iou.shape
    thresholds = np.minimum(np.array(IOU_THRESHOLDS), 1 - 1e-10)
    true_positive = np.zeros((len(thresholds), detections), bool)
    if not objects:
        return true_positive
    unmatched = np.ones((len(thresholds), objects), bool)
    rows = np.arange(len(thresholds))
    for i in np.flatnonzero(iou.max(axis=1) >= thresholds[0]).tolist():
        candidates = np.where(unmatched, iou[i], -1.0)  # [10, G]
        # Of equal IoUs the reference evaluator takes the later object.
        best = objects - 1 - candidates[:, ::-1].argmax(axis=1)
        matched = candidates[rows, best] >= thresholds
        true_positive[:, i] = matched
        unmatched[rows[matched], best[matched]] = False
    return true_positive
