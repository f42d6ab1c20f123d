"""Zones and lines as arrays, to place all objects of a frame at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from device_apps.zones.geometry import Array, Point, edges_of, inside, orientations
from device_apps.zones.shapes import Line, Zone, ZoneSet

__all__ = ["CompiledZones", "anchors_of"]


class CompiledZones:
    """Arrays of a set of zones and lines.

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
        edges: list[tuple[Point, Point]] = []
        anchors: list[int] = []
        starts = []
        for zone in self.zones:
            starts.append(len(edges))
            edges += edges_of(zone.points, closed=True)
            anchors += [int(zone.filter.anchor == "center")] * len(zone.points)
        self._polygon_edges = len(edges)
        for line in self.lines:
            edges += edges_of(line.points, closed=False)
            anchors.append(int(line.filter.anchor == "center"))
        self._edges: Array = np.array(edges, np.float64).reshape(-1, 4)
        self._starts = starts
        # Most sets have one anchor: a column of points then serves all edges.
        self._anchor = anchors[0] if len(set(anchors)) == 1 else None
        self._anchors = np.array(anchors, np.intp)

    def __bool__(self) -> bool:
        return bool(self.zones or self.lines)

    def place(self, anchors: Array) -> tuple[list[list[bool]], list[list[bool]]]:
        """Return of each object in which zones it is, and of which lines it is on the right side or exactly on them.

        Args:
            anchors: [N, 2, 2], foot and center (x, y) of each box, 0–1 of the image.
        """
        points = anchors[:, self._anchors] if self._anchor is None else anchors[:, self._anchor, None]
        x, y = points[..., 0], points[..., 1]  # [N, E] or [N, 1]
        signs = orientations(self._edges, x, y)
        number = self._polygon_edges
        right = (signs[:, number:] >= 0).tolist()
        if not self.zones:
            return [[]] * len(right), right
        if self._anchor is None:
            x, y = x[:, :number], y[:, :number]
        return inside(self._edges[:number], signs[:, :number], x, y, self._starts).tolist(), right

    def accepts(self, label: str, area: float) -> list[bool]:
        """Return of each zone, then of each line, whether it counts a box of this label and area (0–1)."""
        accepted = self._accepted.get(label)
        if accepted is None:
            accepted = self._accepted[label] = [label in labels for labels in self._labels]
        if self._all_areas:
            return accepted
        return [known and low <= area <= high for known, (low, high) in zip(accepted, self._areas, strict=True)]


def anchors_of(boxes: Sequence[tuple[float, float, float, float]], width: float, height: float) -> Array:
    """Return foot and center of boxes in pixels as float64 [N, 2, 2], (x, y) in 0–1 of the image."""
    box = np.array(boxes, np.float64).reshape(-1, 4)
    anchors = np.empty((len(box), 2, 2))
    anchors[:, :, 0] = ((box[:, 0] + box[:, 2]) * (0.5 / width))[:, None]
    anchors[:, 0, 1] = box[:, 3] / height
    anchors[:, 1, 1] = (box[:, 1] + box[:, 3]) * (0.5 / height)
    return anchors
