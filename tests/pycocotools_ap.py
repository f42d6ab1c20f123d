"""Average precision by pycocotools, the reference; shares no code with edge_ssd.evaluation."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from edge_ssd.data.dataset import Dataset
from edge_ssd.runtime.detections import Detections

__all__ = ["pycocotools_ap"]


def pycocotools_ap(data: Dataset, predictions: Sequence[Detections]) -> tuple[float, float, float]:
    """Return AP, AP50 and AP75."""
    coco_module = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    truth, results = _coco_json(data, predictions)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = coco_module.COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluator = cocoeval.COCOeval(coco, coco.loadRes(results), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats[0], evaluator.stats[1], evaluator.stats[2]


def _coco_json(data: Dataset, predictions: Sequence[Detections]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return ground truth and results as COCO's JSON files hold them."""

    def xywh(box: Iterable[float]) -> list[float]:
        x0, y0, x1, y1 = (float(value) for value in box)
        return [x0, y0, x1 - x0, y1 - y0]

    annotations = []
    for image_id, item in enumerate(data.samples, 1):
        for box, class_id in zip(item.boxes_xyxy, item.class_ids.tolist(), strict=True):
            shape = xywh(box)
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image_id, "category_id": class_id + 1, "bbox": shape}
                | {"area": shape[2] * shape[3], "iscrowd": 0}
            )
    truth = {
        "images": [{"id": i, "width": 100, "height": 100} for i in range(1, len(data) + 1)],
        "annotations": annotations,
        "categories": [{"id": i, "name": label} for i, label in enumerate(data.labels, 1)],
    }
    results = [
        {"image_id": i, "category_id": int(class_id) + 1, "bbox": xywh(box), "score": float(score)}
        for i, each in enumerate(predictions, 1)
        for box, score, class_id in zip(each.xyxy, each.confidence, each.class_id, strict=True)
    ]
    return truth, results
