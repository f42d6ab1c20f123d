"""COCO average precision, computed by the evaluator `faster-coco-eval`.

Average precision (AP) is the area under the precision–recall curve, averaged over the classes and over ten IoU
thresholds from 0.50 to 0.95; AP50 and AP75 are the values at one threshold (Lin et al., "Microsoft COCO", 2014;
the rules are those of the COCO detection task with at most 100 detections per image). This module only converts the
evaluator's inputs and outputs.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Dataset
from edge_ssd.errors import DataError
from edge_ssd.runtime.detections import Detections

__all__ = ["MAX_DETECTIONS", "MIN_USEFUL_AP", "AveragePrecision", "average_precision"]

# The COCO task's limit per image: the evaluator ignores detections of lower scores.
MAX_DETECTIONS = 100

MIN_USEFUL_AP = 0.01
"""AP (0–1) below which a model finds hardly anything: an untrained one reaches 0.003. A useful model for many classes
or for small objects has several times more."""

# Positions of IoU 0.50 and 0.75 among COCO's ten thresholds 0.50, 0.55, … 0.95.
_IOU_50, _IOU_75 = 0, 5


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision over all IoU thresholds, at 0.50, at 0.75, and per class; all 0–1.

    A class without objects in the dataset has no AP: it is None in ``per_class`` and excluded from the means.
    """

    ap: float
    ap50: float
    ap75: float
    per_class: dict[str, float | None]
    num_images: int
    num_objects: int

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dictionary of plain JSON types, rounded to six digits."""
        return {
            "ap": round(self.ap, 6),
            "ap50": round(self.ap50, 6),
            "ap75": round(self.ap75, 6),
            "per_class": {name: None if ap is None else round(ap, 6) for name, ap in self.per_class.items()},
            "num_images": self.num_images,
            "num_objects": self.num_objects,
        }


def average_precision(dataset: Dataset, predictions: Sequence[Detections]) -> AveragePrecision:
    """Return the average precision of ``predictions``, one per sample of ``dataset`` in the same order.

    Predictions without any detection score 0.

    Raises:
        DataError: the dataset has no object, so that AP is not defined.
        ValueError: the number of predictions is not that of the images, or one holds NaN or infinity.
    """
    if len(predictions) != len(dataset.samples):
        raise ValueError(f"{len(dataset.samples)} images but {len(predictions)} predictions")
    if not all(np.isfinite(each.xyxy).all() and np.isfinite(each.confidence).all() for each in predictions):
        raise ValueError("predictions must be finite numbers")
    num_objects = sum(len(sample.class_ids) for sample in dataset.samples)
    if num_objects == 0:
        raise DataError(
            f"{dataset.root}: none of its {count(len(dataset.samples), 'image')} has an object, so average precision "
            "is undefined; use images with labels"
        )
    precision = _evaluate(_ground_truth(dataset), _results(predictions))  # [10 IoUs, 101 recalls, classes]
    return AveragePrecision(
        ap=_mean(precision),
        ap50=_mean(precision[_IOU_50]),
        ap75=_mean(precision[_IOU_75]),
        per_class={
            label: _mean(precision[..., i]) if (precision[..., i] > -1).any() else None
            for i, label in enumerate(dataset.labels)
        },
        num_images=len(dataset.samples),
        num_objects=num_objects,
    )


def _ground_truth(dataset: Dataset) -> dict[str, Any]:
    """Return the dataset in COCO's format, whose ids start at 1."""
    annotations: list[dict[str, Any]] = []
    for image_id, sample in enumerate(dataset.samples, 1):
        for box, class_id in zip(_xywh(sample.boxes_xyxy), sample.class_ids.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": class_id + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    return {
        "images": [{"id": image_id} for image_id in range(1, len(dataset.samples) + 1)],
        "annotations": annotations,
        "categories": [{"id": i, "name": label} for i, label in enumerate(dataset.labels, 1)],
    }


def _results(predictions: Sequence[Detections]) -> list[dict[str, Any]]:
    return [
        {"image_id": image_id, "category_id": class_id + 1, "bbox": box, "score": score}
        for image_id, detections in enumerate(predictions, 1)
        for box, score, class_id in zip(
            _xywh(detections.xyxy), detections.confidence.tolist(), detections.class_id.tolist(), strict=True
        )
    ]


def _evaluate(ground_truth: dict[str, Any], results: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    """Return precision [10 IoUs, 101 recalls, classes] for all object sizes; −1 for a class without objects."""
    # Imported here: it loads OpenCV, for masks.
    from faster_coco_eval import COCO, COCOeval_faster

    with _quiet():
        coco = COCO(ground_truth)
        evaluator = COCOeval_faster(coco, coco.loadRes(results), iouType="bbox", print_function=lambda *_: None)
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluator.params.maxDets = [MAX_DETECTIONS]
        evaluator.evaluate()
        evaluator.accumulate()
    precision = np.asarray(evaluator.eval["precision"], np.float64)
    return precision[:, :, :, 0, 0]


def _mean(precision: npt.NDArray[np.float64]) -> float:
    return float(precision[precision > -1].mean())


def _xywh(boxes_xyxy: npt.ArrayLike) -> list[list[float]]:
    # In double precision: the rounding of float32 sizes could move the IoU of a pair across a threshold.
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    result: list[list[float]] = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
    return result


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the evaluator's log lines and warnings."""
    logger = logging.getLogger("faster_coco_eval")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
