"""Boxes: conversions, area, intersection over union, greedy matching, clipping.

A box is four float32 numbers. ``xyxy`` is (xmin, ymin, xmax, ymax), the book's "corner"; ``cxcywh`` is (center x,
center y, width, height), its "center": ``box_corner_to_center`` is :func:`xyxy_to_cxcywh`. Units are the caller's,
pixels or 0–1 of the image. A box with ``xmax < xmin`` or ``ymax < ymin`` is empty and has area 0. Arrays of another
shape, and numbers that are not finite, raise SettingError.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.checks import MAX_NUMBER, as_fraction, box_array, box_rows, require_finite, shortened
from edge_ssd.errors import SettingError

__all__ = [
    "TINY",
    "FloatArray",
    "box_area",
    "box_iou",
    "clip_boxes",
    "cxcywh_to_xyxy",
    "intersection_over_union",
    "match_greedily",
    "to_cxcywh",
    "xyxy_to_cxcywh",
]

FloatArray = npt.NDArray[np.float32]

# The smallest normal float32, a literal because np.finfo warns once tflite-runtime has disabled subnormals on ARM.
TINY = np.float32(2.0**-126)
_HALF = np.float32(0.5)


def xyxy_to_cxcywh(boxes_xyxy: npt.ArrayLike) -> FloatArray:
    """Convert boxes [..., 4] from (xmin, ymin, xmax, ymax) to float32 (center x, center y, width, height)."""
    return to_cxcywh("boxes_xyxy", boxes_xyxy)


def to_cxcywh(name: str, boxes_xyxy: npt.ArrayLike) -> FloatArray:
    """Return the result of :func:`xyxy_to_cxcywh`, whose errors call the boxes ``name``."""
    boxes = box_array(name, boxes_xyxy)
    require_finite(name, boxes)
    minimum, maximum = _pairs(boxes)
    result = np.empty((len(minimum), 4), np.float32)
    pairs = result.view(np.complex64)
    center = minimum + maximum
    in_place = center.view(np.float32)
    in_place *= _HALF
    pairs[:, 0] = center
    np.subtract(maximum, minimum, out=pairs[:, 1])
    return result.reshape(boxes.shape)


def cxcywh_to_xyxy(boxes_cxcywh: npt.ArrayLike) -> FloatArray:
    """Convert boxes [..., 4] from (center x, center y, width, height) to float32 (xmin, ymin, xmax, ymax)."""
    boxes = box_array("boxes_cxcywh", boxes_cxcywh)
    require_finite("boxes_cxcywh", boxes)
    center, size = _pairs(boxes)
    result = np.empty((len(center), 4), np.float32)
    pairs = result.view(np.complex64)
    half = size.copy()
    in_place = half.view(np.float32)
    in_place *= _HALF
    np.subtract(center, half, out=pairs[:, 0])
    np.add(center, half, out=pairs[:, 1])
    return result.reshape(boxes.shape)


def _pairs(boxes: FloatArray) -> tuple[npt.NDArray[np.complex64], npt.NDArray[np.complex64]]:
    """Return the first two and the last two numbers of float32 boxes [..., 4], each pair as one complex number [N].

    Sums and differences of complex numbers are those of their parts. NumPy computes them in one loop over the boxes,
    several times faster than in a loop of two steps for each box.
    """
    pairs = np.ascontiguousarray(boxes).reshape(-1, 4).view(np.complex64)
    return pairs[:, 0], pairs[:, 1]


def box_area(boxes_xyxy: npt.ArrayLike) -> FloatArray:
    """Return the areas, float32 [...] in square units, of boxes [..., 4]; 0 if xmax < xmin or ymax < ymin."""
    boxes = box_array("boxes_xyxy", boxes_xyxy)
    require_finite("boxes_xyxy", boxes)
    minimum, maximum = _pairs(boxes)
    size = (maximum - minimum).view(np.float32).reshape(-1, 2)
    np.maximum(size, 0, out=size)
    area: FloatArray = size[:, 0] * size[:, 1]
    return area.reshape(boxes.shape[:-1])


def box_iou(
    boxes1_xyxy: npt.ArrayLike, boxes2_xyxy: npt.ArrayLike, dtype: npt.DTypeLike = np.float32
) -> npt.NDArray[Any]:
    """Return the pairwise intersection over union, [N, M], of boxes [N, 4] and [M, 4] in the same units.

    One box [4] counts as [1, 4]. The IoU is computed in ``dtype``; COCO's evaluators use float64. Two empty boxes have
    IoU 0, not NaN.
    """
    try:
        dtype = np.dtype(dtype)
    except (TypeError, ValueError):
        raise SettingError(f"dtype must be a floating-point type, got {shortened(dtype)}") from None
    if dtype.kind != "f":
        raise SettingError(f"dtype must be a floating-point type, got {dtype}")
    boxes1 = box_rows("boxes1_xyxy", boxes1_xyxy, dtype, single=True)
    boxes2 = box_rows("boxes2_xyxy", boxes2_xyxy, dtype, single=True)
    # Planes [4, N] and [4, M]: NumPy's loops then run over the boxes, not over two numbers of each.
    corners1, corners2 = boxes1.T.copy(), boxes2.T.copy()
    size = np.minimum(corners1[2:, :, None], corners2[2:, None])  # [2, N, M]
    size -= np.maximum(corners1[:2, :, None], corners2[:2, None])
    np.maximum(size, 0, out=size)
    intersection = np.multiply(size[0], size[1], out=size[0])
    return intersection_over_union(intersection, _area(corners1)[:, None], _area(corners2))


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
    threshold = as_fraction("iou_threshold", iou_threshold)
    if iou.ndim != 2:
        raise SettingError(f"iou must be a matrix [N, M], got shape {list(iou.shape)}")
    rows, columns = np.nonzero(iou >= threshold)
    order = np.argsort(-iou[rows, columns], kind="stable")
    pairs: dict[int, int] = {}
    matched_columns: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in pairs and column not in matched_columns:
            pairs[row] = column
            matched_columns.add(column)
    return list(pairs.items())


def _area(corners: npt.NDArray[Any]) -> npt.NDArray[Any]:
    size = np.maximum(corners[2:] - corners[:2], 0)
    area: npt.NDArray[Any] = size[0] * size[1]
    return area


def clip_boxes(boxes_xyxy: npt.ArrayLike, height: float, width: float) -> FloatArray:
    """Clip boxes [..., 4] to an image of ``height`` × ``width`` (same units as the boxes)."""
    boxes = box_array("boxes_xyxy", boxes_xyxy)
    require_finite("boxes_xyxy", boxes)
    sides = (height, width)
    if not all(isinstance(side, numbers.Real) and 0 <= side <= MAX_NUMBER for side in sides) or bool in map(
        type, sides
    ):
        raise SettingError(
            f"height and width must be finite and at least 0, got {shortened(height)}, {shortened(width)}"
        )
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, np.float32(0), limit)
