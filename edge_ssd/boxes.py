"""Boxes: conversions, area, intersection over union, clipping.

A box is four float32 numbers. ``xyxy`` is (xmin, ymin, xmax, ymax); ``cxcywh`` is (centre x, centre y,
width, height). Units are the caller's, pixels or 0–1 of the picture: nothing here depends on them. A box
with ``xmax < xmin`` or ``ymax < ymin`` is empty and has area 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["FloatArray", "box_area", "box_iou", "clip_boxes", "cxcywh_to_xyxy", "xyxy_to_cxcywh"]

FloatArray = npt.NDArray[np.float32]

# The smallest normal float32. Written out: where an interpreter has switched subnormal numbers off, as tflite-runtime
# does on ARM, np.finfo warns.
_TINY = np.float32(2.0**-126)


def xyxy_to_cxcywh(boxes_xyxy: npt.ArrayLike) -> FloatArray:
    """Convert boxes [..., 4] from corner to centre form (the book's ``box_corner_to_center``)."""
    boxes = np.asarray(boxes_xyxy, np.float32)
    minimum, maximum = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([(minimum + maximum) / 2, maximum - minimum], axis=-1)


def cxcywh_to_xyxy(boxes_cxcywh: npt.ArrayLike) -> FloatArray:
    """Convert boxes [..., 4] from centre to corner form (the book's ``box_center_to_corner``)."""
    boxes = np.asarray(boxes_cxcywh, np.float32)
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([centre - half, centre + half], axis=-1)


def box_area(boxes_xyxy: npt.ArrayLike) -> FloatArray:
    """Areas [...] of boxes [..., 4]; empty boxes have area 0."""
    boxes = np.asarray(boxes_xyxy, np.float32)
    size = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    area: FloatArray = size[..., 0] * size[..., 1]
    return area


def box_iou(boxes1_xyxy: npt.ArrayLike, boxes2_xyxy: npt.ArrayLike) -> FloatArray:
    """Pairwise intersection over union of boxes [N, 4] and [M, 4], as float32 [N, M] in 0–1.

    Two empty boxes have IoU 0, not NaN.
    """
    boxes1 = np.asarray(boxes1_xyxy, np.float32).reshape(-1, 4)
    boxes2 = np.asarray(boxes2_xyxy, np.float32).reshape(-1, 4)
    minimum = np.maximum(boxes1[:, None, :2], boxes2[None, :, :2])  # [N, M, 2]
    maximum = np.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    size = np.maximum(maximum - minimum, 0)
    intersection = size[..., 0] * size[..., 1]
    union = box_area(boxes1)[:, None] + box_area(boxes2)[None, :] - intersection
    # An empty union means two empty boxes: 0 / tiny is the 0 that is wanted.
    iou: FloatArray = intersection / np.maximum(union, _TINY)
    return iou


def clip_boxes(boxes_xyxy: npt.ArrayLike, height: float, width: float) -> FloatArray:
    """Boxes [..., 4] cut to a picture of ``height`` × ``width`` (same units as the boxes)."""
    boxes = np.asarray(boxes_xyxy, np.float32)
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(boxes, np.float32(0), limit)
