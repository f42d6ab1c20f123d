"""COCO average precision, by the evaluator `faster-coco-eval`.

Average precision (AP) is the area under the precision–recall curve, averaged over the classes and over ten IoU
thresholds from 0.50 to 0.95; AP50 and AP75 are the values at one threshold (Lin et al., "Microsoft COCO", 2014;
the rules are those of the COCO detection task with at most 100 detections an image). Nothing of it is computed
here: this module only brings our values into the evaluator's form and its result into ours.
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

from edge_ssd.data.dataset import Dataset
from edge_ssd.errors import DataError
from edge_ssd.runtime.detections import Detections

__all__ = ["MAX_DETECTIONS", "AveragePrecision", "average_precision"]

# The COCO task's limit per image. More are ignored, worst scores first.
MAX_DETECTIONS = 100

# Positions of IoU 0.50 and 0.75 among COCO's ten thresholds 0.50, 0.55, … 0.95.
_IOU_50, _IOU_75 = 0, 5


@dataclass(frozen=True)
class AveragePrecision:
    """AP over all IoU thresholds, at 0.50, at 0.75, and for each class; all 0–1.

    A class without a single object in the data has no AP: None in ``per_class``, and left out of the means.
    """

    ap: float
    ap50: float
    ap75: float
    per_class: dict[str, float | None]
    num_images: int
    num_objects: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, rounded to six digits: more would be noise."""
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
    if not all(np.isfinite(found.xyxy).all() and np.isfinite(found.confidence).all() for found in predictions):
        raise ValueError("predictions must be finite numbers")
    num_objects = sum(len(sample.class_ids) for sample in dataset.samples)
    if num_objects == 0:
        raise DataError(
            f"{dataset.root}: none of its {len(dataset.samples)} images has an object, so there is no average "
            "precision to measure; use images with labels"
        )
    precision = _evaluate(_truth(dataset), _results(predictions))  # [10 IoUs, 101 recalls, classes]
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


def _truth(dataset: Dataset) -> dict[str, Any]:
    """The dataset in COCO's form; ids there start at 1."""
    annotations: list[dict[str, Any]] = []
    for image_id, sample in enumerate(dataset.samples, 1):
        boxes = _xywh(sample.boxes_xyxy)
        for box, class_id in zip(boxes, sample.class_ids.tolist(), strict=True):
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
        for image_id, found in enumerate(predictions, 1)
        for box, score, class_id in zip(
            _xywh(found.xyxy), found.confidence.tolist(), found.class_id.tolist(), strict=True
        )
    ]


def _evaluate(truth: dict[str, Any], results: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    """Precision [10 IoUs, 101 recalls, classes] for objects of all sizes; −1 where a class has no object."""
    # The evaluator loads OpenCV for mask work that boxes do not need; it costs only the user who evaluates.
    from faster_coco_eval import COCO, COCOeval_faster

    with _quiet():
        coco = COCO(truth)
        evaluator = COCOeval_faster(coco, coco.loadRes(results), iouType="bbox", print_function=_ignore)
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluator.params.maxDets = [MAX_DETECTIONS]
        evaluator.evaluate()
        evaluator.accumulate()
    precision = np.asarray(evaluator.eval["precision"], np.float64)
    return precision[:, :, :, 0, 0]


def _mean(precision: npt.NDArray[np.float64]) -> float:
    return float(precision[precision > -1].mean())


def _xywh(boxes_xyxy: npt.ArrayLike) -> list[list[float]]:
    # In double precision: float32 corners subtract to a size whose rounding could move a pair across a threshold.
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    result: list[list[float]] = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1).tolist()
    return result


def _ignore(*_: object) -> None:
    """Stands in for the evaluator's printing."""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the evaluator's log lines and warnings off the user's terminal."""
    logger = logging.getLogger("faster_coco_eval")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
