"""False alarms of a detector: how often it reports an object where there is none, at which score, and its recall then.

A false alarm is a detection whose IoU with every labeled object of its class is below 0.1; in an image without objects
that is every detection. A second box around an object and an inexact box of one are false positives of average
precision, but no false alarms: a device that reports them reports an object that is there. An object of another class
does not excuse a detection.

The rate is counted per image, as the false positives per image (FPPI) of Dollár et al., "Pedestrian Detection: An
Evaluation of the State of the Art", 2012, and given for 100 images. 0.1 is the IoU below which TIDE (Bolya et al., "A
General Toolbox for Identifying Object Detection Errors", 2020) counts a detection as background. Recall is COCO's at an
IoU of 0.5, of the objects of all classes together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, box_iou
from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Dataset
from edge_ssd.evaluation.bootstrap import Interval
from edge_ssd.evaluation.matching import match_images
from edge_ssd.runtime.detections import Detections

__all__ = [
    "FALSE_ALARM_IOU",
    "DetectionScores",
    "OperatingPoint",
    "images_needed",
    "lowest_threshold",
    "operating_point",
    "score_detections",
]

FALSE_ALARM_IOU = 0.1
"""IoU with an object of its class from which on a detection is no false alarm."""

_PER_IMAGES = 100
_NORMAL_QUANTILE = 1.959964  # of 97.5 %: both tails of a 95 % interval
_STEPS = 100  # thresholds are multiples of 1 / 100

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DetectionScores:
    """Scores (0–1) of the detections in a set of images: what a threshold separates.

    Attributes:
        false_alarms: float64 [F], in descending order.
        in_background: bool [F], whether a false alarm is in an image without objects.
        true_positives: float64 [T], of the detections that match an object (IoU ≥ 0.5).
        num_images, num_background: number of images, and of those without objects.
        num_objects: number of labeled objects.
    """

    false_alarms: Floats
    in_background: npt.NDArray[np.bool_]
    true_positives: Floats
    num_images: int
    num_background: int
    num_objects: int

    def of_background(self) -> DetectionScores:
        """Return the scores of the images without objects."""
        scores = self.false_alarms[self.in_background]
        return DetectionScores(
            scores, np.ones(len(scores), bool), np.zeros(0), self.num_background, self.num_background, num_objects=0
        )


@dataclass(frozen=True)
class OperatingPoint:
    """False alarms and recall of a detector with the score threshold ``threshold``.

    Attributes:
        false_alarms, in_background: number of false alarms, and of those in images without objects.
        num_images, num_background: number of images, and of those without objects.
        recall: share of the objects that are found, 0–1; None without objects.
    """

    threshold: float
    false_alarms: int
    in_background: int
    num_images: int
    num_background: int
    recall: float | None

    @property
    def per_100_images(self) -> float:
        """Number of false alarms per 100 images."""
        return _PER_IMAGES * self.false_alarms / self.num_images

    @property
    def interval(self) -> Interval:
        """95 % confidence interval of :attr:`per_100_images`, for false alarms that are independent of each other.

        Source: Byar's approximation of the exact interval of a Poisson count, within 1 % of it: Breslow and Day,
        "Statistical Methods in Cancer Research", volume 2, 1987, section 2.3.
        """
        low, high = (
            number * (1 - 1 / (9 * number) + sign * _NORMAL_QUANTILE / (3 * math.sqrt(number))) ** 3 if number else 0.0
            for number, sign in ((self.false_alarms, -1), (self.false_alarms + 1, 1))
        )
        return Interval(_PER_IMAGES * low / self.num_images, _PER_IMAGES * high / self.num_images)

    def describe(self) -> str:
        """Return "0.9 false alarms per 100 images (1 in 100 images with objects, 0 in 12 without; …), recall 0.81"."""
        recall = "" if self.recall is None else f", recall {self.recall:.2f}"
        return f"{self.per_100_images:.1f} false alarms per 100 images ({self.describe_images()}){recall}"

    def describe_images(self) -> str:
        """Return the counts and the interval: "1 in 100 images with objects, 0 in 12 without; 95 % interval …"."""
        with_objects = self.num_images - self.num_background
        counts = f"{self.false_alarms - self.in_background} in {count(with_objects, 'image')} with objects"
        if self.num_background:
            counts += f", {self.in_background} in {self.num_background} without"
        return f"{counts}; 95 % interval {self.interval.low:.1f} to {self.interval.high:.1f}"

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dictionary of plain JSON types, rounded to six digits."""
        interval = [round(self.interval.low, 6), round(self.interval.high, 6)]
        return {
            "score_threshold": round(self.threshold, 6),
            "per_100_images": round(self.per_100_images, 6),
            "interval": interval,
            "count": self.false_alarms,
            "num_images": self.num_images,
            "count_in_background": self.in_background,
            "num_background": self.num_background,
            "recall": None if self.recall is None else round(self.recall, 6),
        }


def score_detections(
    dataset: Dataset,
    predictions: Sequence[Detections],
    background: Sequence[Detections] = (),
) -> DetectionScores:
    """Return the scores of the false alarms and the true positives among the detections of a model.

    Args:
        predictions: one per sample of ``dataset``.
        background: one per image of others that show no object of the model's classes.
    """
    num_objects = sum(len(sample.class_ids) for sample in dataset.samples)
    no_boxes, no_classes = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    pairs = [(s.boxes_xyxy, s.class_ids, found) for s, found in zip(dataset.samples, predictions, strict=True)]
    pairs += [(no_boxes, no_classes, found) for found in background]
    is_background = [not len(class_ids) for _, class_ids, _ in pairs]
    parts = [_false_alarms(*pair) for pair in pairs]
    scores = np.concatenate([np.zeros(0), *parts])
    in_background = np.repeat(np.array(is_background, bool), [len(part) for part in parts])
    order = np.argsort(-scores, kind="stable")
    matches = match_images(dataset, predictions)
    return DetectionScores(
        false_alarms=scores[order],
        in_background=in_background[order],
        # The first IoU threshold is 0.5.
        true_positives=np.concatenate([np.zeros(0), *(each.scores[each.true_positive[0]] for each in matches)]),
        num_images=len(pairs),
        num_background=sum(is_background),
        num_objects=num_objects,
    )


def operating_point(scores: DetectionScores, threshold: float) -> OperatingPoint:
    """Return the number of false alarms and the recall of the detections with a score of at least ``threshold``."""
    kept = scores.false_alarms >= threshold
    found = int((scores.true_positives >= threshold).sum())
    return OperatingPoint(
        threshold=threshold,
        false_alarms=int(kept.sum()),
        in_background=int(scores.in_background[kept].sum()),
        num_images=scores.num_images,
        num_background=scores.num_background,
        recall=found / scores.num_objects if scores.num_objects else None,
    )


def lowest_threshold(scores: DetectionScores, max_per_100: float) -> float | None:
    """Return the lowest threshold, a multiple of 0.01, that limits the rate expected in *other* images.

    A threshold that lets exactly K false alarms pass in these N images looks better in them than elsewhere, since they
    chose it: the next false alarm is just below it. In other images of the same kind (K + 1) / (N + 1) are expected,
    so this number is kept to ``max_per_100`` / 100. Source: Angelopoulos et al., "Conformal Risk Control", 2022; exact
    for at most one false alarm an image.

    None: there are fewer than :func:`images_needed` images. A threshold above 1 lets nothing pass.
    """
    if scores.num_images < images_needed(max_per_100):
        return None
    allowed = math.floor((scores.num_images + 1) * max_per_100 / _PER_IMAGES + 1e-9) - 1
    if allowed >= len(scores.false_alarms):
        return 0.0
    # Strictly above the score of the first false alarm that is too many.
    return (math.floor(float(scores.false_alarms[allowed]) * _STEPS + 1e-6) + 1) / _STEPS


def images_needed(max_per_100: float) -> int:
    """Return the minimum number of images that can show a rate of at most ``max_per_100``: 99 for one false alarm."""
    return math.ceil(_PER_IMAGES / max_per_100 - 1e-9) - 1


def _false_alarms(boxes_xyxy: FloatArray, class_ids: npt.NDArray[np.int64], detections: Detections) -> Floats:
    """Return the scores of the detections in an image that overlap no object of their class: boxes [G, 4], ids [G]."""
    same_class = class_ids[None, :] == detections.class_id[:, None]  # [D, G]
    iou = np.where(same_class, box_iou(detections.xyxy, boxes_xyxy, np.float64), 0.0)
    # An evaluation keeps boxes outside the image, which a detector drops: they are empty after clipping.
    inside = np.all(detections.xyxy[:, 2:] > detections.xyxy[:, :2], axis=1)
    alone = iou.max(axis=1, initial=0.0) < FALSE_ALARM_IOU
    scores: Floats = detections.confidence[alone & inside].astype(np.float64)
    return scores
