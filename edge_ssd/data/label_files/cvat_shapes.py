"""Shapes in CVAT's XML."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from edge_ssd.data.label_files.shapes import Box, enclose_points, enclose_rotated_box
from edge_ssd.data.label_files.xml_file import Element

__all__ = ["SHAPES_WITHOUT_AREA", "bounding_box"]

_MAX_QUOTED = 40

SHAPES_WITHOUT_AREA = frozenset({"points", "polyline", "skeleton"})
"""Tags of shapes that have no bounding box of an object."""


def bounding_box(shape: Element) -> tuple[Box, bool]:
    """Return the box, xyxy, of a shape, and whether it encloses another one; raise ValueError if it cannot be read."""
    degrees = _number("rotation", shape.get("rotation") or "0")
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
        points = [_point(text) for text in (shape.get("points") or "").split(";")]
        return enclose_points(points), True
    if shape.tag == "cuboid":
        corners = [key[1:] for key in shape.attrib if re.fullmatch(r"x[tb][lr]\d", key)]
        xs, ys = (_numbers(shape, [axis + corner for corner in corners]) for axis in "xy")
        return enclose_points(zip(xs, ys, strict=True)), True
    raise ValueError("unknown shape")


def _numbers(element: Element, keys: Iterable[str]) -> list[float]:
    return [_number(key, element.get(key)) for key in keys]


def _point(text: str) -> tuple[float, float]:
    x, comma, y = text.partition(",")
    if not comma:
        raise ValueError(f"points: expected x,y, got {_quote(text)}")
    return _number("points", x), _number("points", y)


def _number(name: str, text: str | None) -> float:
    if text is None:
        raise ValueError(f"{name} is missing")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} is {_quote(text)}") from None


def _quote(text: str) -> str:
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")
