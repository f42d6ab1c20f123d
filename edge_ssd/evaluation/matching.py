"""Which detections are right, image by image, by COCO's rules: what curves and intervals are made from.

The figure that is reported comes from :mod:`edge_ssd.evaluation.average_precision`, an evaluator that others use too.
This module repeats its matching so that the images can be weighted: a bootstrap weighs them a thousand times, and
running the evaluator as often would take minutes. Both give the same average precision, which a test compares.
Source: Lin et al., "Microsoft COCO", 2014, and the reference evaluator's rules: detections of a class in an image in
order of their scores, each takes the free object that it overlaps most with at least the threshold; precision is made
falling along the curve and read at 101 recalls.
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
    """One class's detections in all images, best score first.

    Attributes:
        scores: float [D].
        correct: bool [10, D], at each of :data:`IOU_THRESHOLDS`.
        images: int [D], the image that each was found in.
        objects: int [P], how many objects of the class each image has.
    """

    scores: Floats
    correct: npt.NDArray[np.bool_]
    images: npt.NDArray[np.int64]
    objects: npt.NDArray[np.int64]


def match_images(dataset: Dataset, predictions: Sequence[Detections]) -> list[ClassMatches]:
    """Match ``predictions``, one per sample of ``dataset``; the result has one value per label."""
    return [_match_class(dataset, predictions, class_id) for class_id in range(len(dataset.labels))]


def precision_at_recalls(matches: ClassMatches, weights: FloatArray | None = None) -> Floats | None:
    """Precision [10, 101] at each IoU threshold and recall; None for a class without any object.

    ``weights`` [P] counts each image so many times; whole numbers give exactly what a dataset with that many copies
    of it gives (equal scores in different images keep the images' order).
    """
    counts = np.ones(len(matches.objects)) if weights is None else np.asarray(weights, np.float64)
    total = float(counts @ matches.objects)
    if total == 0:
        return None
    each = counts[matches.images]
    kept = each > 0
    each, correct = each[kept], matches.correct[:, kept]
    result = np.zeros((len(IOU_THRESHOLDS), len(RECALLS)))
    if not len(each):
        return result
    seen = np.cumsum(each)
    for row, right in zip(result, correct, strict=True):
        # Only where something right is found does recall grow: the highest precision from there on is read there.
        places = np.flatnonzero(right)
        if not len(places):
            continue
        found = np.cumsum(each[places])
        falling = np.maximum.accumulate((found / seen[places])[::-1])[::-1]
        index = np.searchsorted(found / total, RECALLS, side="left")
        reached = index < len(places)
        row[reached] = falling[index[reached]]
    return result


def weighted_ap(classes: Sequence[ClassMatches], weights: FloatArray | None = None) -> float:
    """Average precision over all classes with an object and all IoU thresholds; NaN where no class has one."""
    tables = [precision_at_recalls(matches, weights) for matches in classes]
    means = [float(table.mean()) for table in tables if table is not None]
    return float(np.mean(means)) if means else float("nan")


def _match_class(dataset: Dataset, predictions: Sequence[Detections], class_id: int) -> ClassMatches:
    scores, correct, images, objects = [], [], [], []
    for i, (sample, found) in enumerate(zip(dataset.samples, predictions, strict=True)):
        truth = sample.boxes_xyxy[sample.class_ids == class_id]
        objects.append(len(truth))
        mine = np.flatnonzero(found.class_id == class_id)
        # Stable, as everything about equal scores here: the earlier one stays first.
        order = mine[np.argsort(-found.confidence[mine], kind="stable")][:MAX_DETECTIONS]
        scores.append(found.confidence[order].astype(np.float64))
        correct.append(_match(box_iou(found.xyxy[order], truth, np.float64)))
        images.append(np.full(len(order), i, np.int64))
    joined = np.concatenate(scores) if scores else np.zeros(0)
    order = np.argsort(-joined, kind="stable")
    return ClassMatches(
        joined[order],
        np.concatenate(correct, axis=1)[:, order],
        np.concatenate(images)[order],
        np.array(objects, np.int64),
    )


def _match(iou: Floats) -> npt.NDArray[np.bool_]:
    """IoU [D, G], detections best first → whether each takes an object, [10, D]."""
    detections, objects = iou.shape
    least = np.minimum(np.array(IOU_THRESHOLDS), 1 - 1e-10)
    correct = np.zeros((len(least), detections), bool)
    if not objects:
        return correct
    free = np.ones((len(least), objects), bool)
    rows = np.arange(len(least))
    for i in np.flatnonzero(iou.max(axis=1) >= least[0]).tolist():
        overlap = np.where(free, iou[i], -1.0)  # [10, G]
        # Of equal overlaps the reference takes the later object.
        best = objects - 1 - overlap[:, ::-1].argmax(axis=1)
        taken = overlap[rows, best] >= least
        correct[:, i] = taken
        free[rows[taken], best[taken]] = False
    return correct
