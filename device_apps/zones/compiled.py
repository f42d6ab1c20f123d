"""Zones and lines, prepared to place the objects of a frame."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from device_apps.zones.geometry import Array, Point, contains, edges_of, inside, orientation, orientations
from device_apps.zones.shapes import Line, Zone, ZoneSet

__all__ = ["Anchors", "CompiledZones", "anchors_of"]

Anchors = tuple[Point, Point]
"""Foot and center of a box."""

_MAX_SINGLY = 250  # Objects times edges; NumPy is slower for fewer, where a call costs more than its work.


class CompiledZones:
    """Set of zones and lines, prepared to place objects.

    Attributes:
        zones, lines: those of the set, in its order.
    """

    def __init__(self, shapes: ZoneSet, labels: Sequence[str]) -> None:
        self.zones: tuple[Zone, ...] = shapes.zones
        self.lines: tuple[Line, ...] = shapes.lines
        counted: list[Zone | Line] = [*self.zones, *self.lines]
        self._labels = [set(shape.filter.selected(labels)) for shape in counted]
        self._areas = [(shape.filter.min_area, shape.filter.max_area) for shape in counted]
        self._all_areas = all(area == (0.0, 1.0) for area in self._areas)
        self._accepted: dict[str, list[bool]] = {}  # by label
        self._centers = [int(shape.filter.anchor == "center") for shape in counted]
        self._polygons = [edges_of(zone.points, closed=True) for zone in self.zones]
        self._ends = [(line.points[0], line.points[1]) for line in self.lines]
        edges = [edge for polygon in self._polygons for edge in polygon]
        self._starts = [0, *itertools.accumulate(map(len, self._polygons))][: len(self._polygons)]
        self._polygon_edges = len(edges)
        sizes = [*map(len, self._polygons), *([1] * len(self.lines))]
        self._edges: Array = np.array([*edges, *self._ends], np.float64).reshape(-1, 4)
        self._edge_centers = np.repeat(np.array(self._centers, np.intp), sizes)

    def __bool__(self) -> bool:
        return bool(self.zones or self.lines)

    def place(self, anchors: Sequence[Anchors]) -> tuple[list[list[bool]], list[list[bool]]]:
        """Return of each object in which zones it is, and of which lines it is on the right side or exactly on them.

        Args:
            anchors: foot and center (x, y) of each box, 0–1 of the image.
        """
        if len(anchors) * len(self._edges) > _MAX_SINGLY:
            return self._place_at_once(anchors)
        zones = len(self.zones)
        rows = [
            (
                [contains(edges, both[i]) for edges, i in zip(self._polygons, self._centers, strict=False)],
                [
                    orientation(start, end, both[i]) >= 0
                    for (start, end), i in zip(self._ends, self._centers[zones:], strict=True)
                ],
            )
            for both in anchors
        ]
        return [row[0] for row in rows], [row[1] for row in rows]

    def _place_at_once(self, anchors: Sequence[Anchors]) -> tuple[list[list[bool]], list[list[bool]]]:
        points = np.array(anchors, np.float64)[:, self._edge_centers]  # [N, E, 2]
        x, y = points[..., 0], points[..., 1]
        signs = orientations(self._edges, x, y)
        number = self._polygon_edges
        right = (signs[:, number:] >= 0).tolist()
        if not self.zones:
            return [[] for _ in anchors], right
        inner = inside(self._edges[:number], signs[:, :number], x[:, :number], y[:, :number], self._starts)
        return inner.tolist(), right

    def accepts(self, label: str, area: float) -> list[bool]:
        """Return of each zone, then of each line, whether it counts a box of this label and area (0–1)."""
        accepted = self._accepted.get(label)
        if accepted is None:
            accepted = self._accepted[label] = [label in labels for labels in self._labels]
        if self._all_areas:
            return accepted
        return [known and low <= area <= high for known, (low, high) in zip(accepted, self._areas, strict=True)]


def anchors_of(box: tuple[float, float, float, float], width: float, height: float) -> Anchors:
    """Return foot and center (x, y), in 0–1 of the image, of a box in pixels."""
    x = (box[0] + box[2]) / 2 / width
    return (x, box[3] / height), (x, (box[1] + box[3]) / 2 / height)
