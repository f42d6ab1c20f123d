"""Zones, lines and masks: values that are checked where they are built."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from device_apps.zones.geometry import Point, edges_of, orientation, self_intersection
from edge_ssd.console.counts import count
from edge_ssd.console.text import find_label
from edge_ssd.errors import SettingError

__all__ = ["ANCHORS", "MAX_SHAPES", "Anchor", "Filter", "Line", "Mask", "Zone", "ZoneSet"]

Anchor = Literal["foot", "center"]
ANCHORS: tuple[Anchor, ...] = ("foot", "center")
"""Points of a box: the middle of its lower edge, where an object stands, or its center."""

DEFAULT_MARGIN = 0.1
_MAX_NAME = 64  # characters
_MAX_POINTS = 100
MAX_SHAPES = 100  # of a kind
_MAX_SECONDS = 86_400


@dataclass(frozen=True)
class Filter:
    """Which objects a zone or line counts, and by which point of their boxes.

    Attributes:
        classes: labels; None for all.
        anchor: the point of a box that is inside a zone or crosses a line.
        min_area, max_area: limits of a box's area, 0–1 of the image.
        margin: 0–1 of the square root of a box's area. Once inside, an object has left a zone when it is further
            outside than that; a crossing of a line counts when it is further away. Boxes vary from frame to frame:
            without a margin an object that stands on an edge would enter and leave all the time.
    """

    classes: tuple[str, ...] | None = None
    anchor: Anchor = "foot"
    min_area: float = 0.0
    max_area: float = 1.0
    margin: float = DEFAULT_MARGIN

    def __post_init__(self) -> None:
        if self.classes is not None and not self.classes:
            raise SettingError("classes must have at least one label; leave it out for all")
        if self.anchor not in ANCHORS:
            raise SettingError(f"anchor must be {' or '.join(ANCHORS)}, got {_shown(self.anchor)}")
        for name in ("min_area", "max_area", "margin"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= 1:
                raise SettingError(f"{name.replace('_', '-')} must be a number from 0 to 1, got {_shown(value)}")
        if self.min_area >= self.max_area:
            raise SettingError(f"min-area must be under max-area, got {self.min_area:g} and {self.max_area:g}")

    def selected(self, labels: Sequence[str]) -> list[str]:
        """Return the labels of the detector that the filter selects, in the detector's order."""
        if self.classes is None:
            return list(labels)
        wanted = {find_label(name, labels) for name in self.classes}
        return [label for label in labels if label in wanted]


@dataclass(frozen=True)
class Zone:
    """Named polygon that objects can be in.

    Attributes:
        points: corners (x, y), 0–1 of the image; a point on an edge is inside.
        enter_after: seconds inside after which an object counts.
    """

    name: str
    points: tuple[Point, ...]
    filter: Filter = field(default_factory=Filter)
    enter_after: float = 0.0

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_polygon(self.points)
        if not _is_number(self.enter_after) or not 0 <= self.enter_after <= _MAX_SECONDS:
            raise SettingError(f"enter-after must be seconds from 0 to {_MAX_SECONDS}, got {_shown(self.enter_after)}")


@dataclass(frozen=True)
class Line:
    """Named line that objects cross, in and out.

    Attributes:
        points: its two ends (x, y), 0–1 of the image. Seen from the first towards the second, "in" is from the left to
            the right.
    """

    name: str
    points: tuple[Point, ...]
    filter: Filter = field(default_factory=Filter)

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_points(self.points)
        if len(self.points) != 2:
            raise SettingError(f"a line has 2 points, got {len(self.points)}")
        if self.points[0] == self.points[1]:
            raise SettingError("the two points of a line must differ")


@dataclass(frozen=True)
class Mask:
    """Polygon that is hidden from the detector and in everything that is shown or saved.

    Attributes:
        points: corners (x, y), 0–1 of the image.
    """

    name: str
    points: tuple[Point, ...]

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_polygon(self.points)


@dataclass(frozen=True)
class ZoneSet:
    """The zones, lines and masks of a camera; names are unique among those of a kind."""

    zones: tuple[Zone, ...] = ()
    lines: tuple[Line, ...] = ()
    masks: tuple[Mask, ...] = ()

    def __post_init__(self) -> None:
        for kind, shapes in (("zone", self.zones), ("line", self.lines), ("mask", self.masks)):
            if len(shapes) > MAX_SHAPES:
                raise SettingError(f"there are {len(shapes)} {kind}s; at most {MAX_SHAPES} are allowed")
            names = [shape.name for shape in shapes]
            for name in names:
                if names.count(name) > 1:
                    raise SettingError(f"{count(names.count(name), kind)} have the name {name!r}; give each its own")

    def __bool__(self) -> bool:
        """Return whether there is any zone, line or mask."""
        return bool(self.zones or self.lines or self.masks)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not any(char.isprintable() and not char.isspace() for char in name):
        raise SettingError("a name is missing")
    if len(name) > _MAX_NAME:
        raise SettingError(f"the name has {len(name)} characters; at most {_MAX_NAME} are allowed")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise SettingError(f"the name {name!r} has a control character")


def _check_points(points: tuple[Point, ...]) -> None:
    if len(points) > _MAX_POINTS:
        raise SettingError(f"there are {len(points)} points; at most {_MAX_POINTS} are allowed")
    for number, point in enumerate(points, 1):
        for axis, value in zip("xy", point, strict=True):
            if not _is_number(value) or not 0 <= value <= 1:
                raise SettingError(f"{axis} of point {number} must be from 0 to 1 (of the image), got {_shown(value)}")


def _check_polygon(points: tuple[Point, ...]) -> None:
    _check_points(points)
    if len(points) < 3:
        raise SettingError(f"a polygon needs at least 3 points, got {len(points)}")
    for number, (start, end) in enumerate(edges_of(points, closed=True), 1):
        if start == end:
            raise SettingError(f"points {number} and {number % len(points) + 1} are the same; remove one")
    if all(orientation(points[0], points[1], point) == 0 for point in points):
        raise SettingError("all points are on one line; a polygon needs an area")
    crossing = self_intersection(points)
    if crossing is not None:
        raise SettingError(
            f"the polygon crosses itself (edge {crossing[0]} and edge {crossing[1]}); order its points around the area"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
