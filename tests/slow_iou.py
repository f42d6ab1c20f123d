"""Intersection over union of two boxes in plain Python: the reference of the array functions."""

from __future__ import annotations

from collections.abc import Sequence


def slow_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the IoU of two xyxy boxes; 0 where the union is empty."""
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [max(0, box[2] - box[0]) * max(0, box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union else 0.0
