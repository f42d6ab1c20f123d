"""Shapes in CVAT's XML."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable

from edge_ssd.data.label_files.shapes import Box, enclose_points, enclose_rotated_box

__all__ = ["SHAPES_WITHOUT_AREA", "bounding_box"]

SHAPES_WITHOUT_AREA = frozenset({"points", "polyline", "skeleton"})
"""Tags of shapes that have no bounding box of an object."""


def bounding_box(shape: ElementTree.Element) -> tuple[Box, bool]:
    """Return the box, xyxy, of a shape, and whether it encloses another one; raise ValueError if it cannot be read."""
    degrees = float(shape.get("rotation") or 0)
    if shape.tag == "box":
        xmin, ymin, xmax, ymax = _numbers(shape, ("xtl", "ytl", "xbr", "ybr"))
        box = (xmin, ymin, xmax, ymax)
        return (enclose_rotated_box(box, degrees), True) if degrees else (box, False)
    if shape.tag == "ellipse":
        x, y, rx, ry = _numbers(shape, ("cx", "cy", "rx", "ry"))
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        width, height = math.hypot(rx * cosine, ry * sine), math.hypot(rx * sine, ry * cosine)
        return (x - width, y - height, x + width, y + height), True
    if shape.tag == "mask":
        left, top, width, height = _numbers(shape, ("left", "top", "width", "height"))
        return (left, top, left + width, top + height), True
    if shape.tag == "polygon":
        points = [tuple(map(float, point.split(","))) for point in (shape.get("points") or "").split(";")]
        return enclose_points((x, y) for x, y in points), True
    if shape.tag == "cuboid":
        corners = [key[1:] for key in shape.attrib if re.fullmatch(r"x[tb][lr]\d", key)]
        xs, ys = (_numbers(shape, [axis + corner for corner in corners]) for axis in "xy")
        return enclose_points(zip(xs, ys, strict=True)), True
    raise ValueError("unknown shape")


def _numbers(element: ElementTree.Element, keys: Iterable[str]) -> list[float]:
    return [float(element.get(key) or "") for key in keys]
