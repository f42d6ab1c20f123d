"""Bounding boxes of polygons, ellipses and rotated boxes."""

from __future__ import annotations

import math
from collections.abc import Iterable

__all__ = ["enclose_ellipse", "enclose_points", "enclose_rotated_box"]

Box = tuple[float, float, float, float]


def enclose_points(points: Iterable[tuple[float, float]]) -> Box:
    """Return the bounding box, xyxy, of two points or more; raise ValueError for fewer or if one is not finite."""
    xs, ys = zip(*points, strict=True) if (points := list(points)) else ((), ())
    if len(xs) < 2 or not all(map(math.isfinite, (*xs, *ys))):
        raise ValueError("expected two points or more with finite coordinates")
    return min(xs), min(ys), max(xs), max(ys)


def enclose_ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0) -> Box:
    """Return the bounding box, xyxy, of an ellipse around (x, y) that is rotated by ``degrees`` clockwise.

    Raises ValueError if a number is not finite or a radius is negative.
    """
    if not all(map(math.isfinite, (x, y, radius_x, radius_y, degrees))) or min(radius_x, radius_y) < 0:
        raise ValueError("the center, a radius or the angle of an ellipse is not finite, or a radius is negative")
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    half_width = math.hypot(radius_x * cosine, radius_y * sine)
    half_height = math.hypot(radius_x * sine, radius_y * cosine)
    return x - half_width, y - half_height, x + half_width, y + half_height


def enclose_rotated_box(box_xyxy: Box, degrees: float, pivot: tuple[float, float] | None = None) -> Box:
    """Return the bounding box, xyxy, of a box that is rotated by ``degrees`` clockwise (y points down).

    Args:
        pivot: the point to rotate around; None for the center of the box.

    Raises ValueError if a number is not finite.
    """
    if not all(map(math.isfinite, (*box_xyxy, degrees))):
        raise ValueError("a side or the angle of a rotated box is not finite")
    xmin, ymin, xmax, ymax = box_xyxy
    x, y = pivot if pivot is not None else ((xmin + xmax) / 2, (ymin + ymax) / 2)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = ((left - x, top - y) for left in (xmin, xmax) for top in (ymin, ymax))
    return enclose_points((x + dx * cosine - dy * sine, y + dx * sine + dy * cosine) for dx, dy in corners)
