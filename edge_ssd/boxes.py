"""Boxes: conversions, area, intersection over union, greedy matching, clipping.

A box is four float32 numbers. ``xyxy`` is (xmin, ymin, xmax, ymax), the book's "corner"; ``cxcywh`` is (center x,
center y, width, height), its "center": ``box_corner_to_center`` is :func:`xyxy_to_cxcywh`. Units are the caller's,
pixels or 0–1 of the image. A box with ``xmax < xmin`` or ``ymax < ymin`` is empty and has area 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "TINY",
    "FloatArray",
    "box_area",
    "box_iou",
    "clip_boxes",
    "cxcywh_to_xyxy",
    "intersection_over_union",
    "match_greedily",
    "xyxy_to_cxcywh",
]

FloatArray = npt.NDArray[np.float32]

# The smallest normal float32, a literal because np.finfo warns once tflite-runtime has disabled subnormals on ARM.
TINY = np.float32(2.0**-126)


def xyxy_to_cxcywh(boxes_xyxy: npt.ArrayLike) -> FloatArray:
    """Convert boxes [..., 4] from (xmin, ymin, xmax, ymax) to float32 (center x, center y, width, height)."""
    boxes = np.asarray(boxes_xyxy, np.float32)
    minimum, maximum = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([(minimum + maximum) / 2, maximum - minimum], axis=-1)


def cxcywh_to_xyxy(boxes_cxcywh: npt.ArrayLike) -> FloatArray:
    """Convert boxes [..., 4] from (center x, center y, width, height) to float32 (xmin, ymin, xmax, ymax)."""
    boxes = np.asarray(boxes_cxcywh, np.float32)
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([center - half, center + half], axis=-1)


def box_area(boxes_xyxy: npt.ArrayLike) -> FloatArray:
    """Return the areas, float32 [...] in square units, of boxes [..., 4]; 0 if xmax < xmin or ymax < ymin."""
    area: FloatArray = _area(np.asarray(boxes_xyxy, np.float32))
    return area


def box_iou(
    boxes1_xyxy: npt.ArrayLike, boxes2_xyxy: npt.ArrayLike, dtype: npt.DTypeLike = np.float32
) -> npt.NDArray[Any]:
    """Return the pairwise intersection over union, [N, M], of boxes [N, 4] and [M, 4] in the same units.

    It is computed in ``dtype``; COCO's evaluators use float64. Two empty boxes have IoU 0, not NaN.
    """
    boxes1 = np.asarray(boxes1_xyxy, dtype).reshape(-1, 4)
    boxes2 = np.asarray(boxes2_xyxy, dtype).reshape(-1, 4)
    minimum = np.maximum(boxes1[:, None, :2], boxes2[None, :, :2])  # [N, M, 2]
    maximum = np.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    intersection = _area(np.concatenate([minimum, maximum], axis=-1))
    return intersection_over_union(intersection, _area(boxes1)[:, None], _area(boxes2)[None, :])


def intersection_over_union(
    intersection: npt.NDArray[Any], area1: npt.NDArray[Any], area2: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """Return ``intersection / (area1 + area2 - intersection)`` for areas that broadcast; 0 if both are empty."""
    union = np.maximum(area1, TINY) + np.maximum(area2, TINY) - intersection
    iou: npt.NDArray[Any] = intersection / union
    return iou


def match_greedily(iou: npt.NDArray[Any], iou_threshold: float) -> list[tuple[int, int]]:
    """Match rows to columns of an IoU matrix [N, M] one to one, highest IoU first; return the (row, column) pairs.

    A pair has an IoU of at least ``iou_threshold``. Equal IoUs are matched in the order of their indices.
    """
    rows, columns = np.nonzero(iou >= iou_threshold)
    order = np.argsort(-iou[rows, columns], kind="stable")
    pairs: dict[int, int] = {}
    matched_columns: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in pairs and column not in matched_columns:
            pairs[row] = column
            matched_columns.add(column)
    return list(pairs.items())


def _area(boxes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    size = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    area: npt.NDArray[Any] = size[..., 0] * size[..., 1]
    return area


def clip_boxes(boxes_xyxy: npt.ArrayLike, height: float, width: float) -> FloatArray:
    """Clip boxes [..., 4] to an image of ``height`` × ``width`` (same units as the boxes)."""
    boxes = np.asarray(boxes_xyxy, np.float32)
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, np.float32(0), limit)
