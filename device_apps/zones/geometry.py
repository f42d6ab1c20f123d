"""Exact geometry of polygons and lines: which side, inside or not, crossed or not, and distances.

Every sign is that of the real numbers, not of their rounded products: a determinant in float64 decides where its error
bound allows it, otherwise fractions do. Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast
Robust Geometric Predicates", 1997, §4.1 (orient2d). Coordinates are x to the right and y downwards, in any unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

__all__ = [
    "Array",
    "Point",
    "contains",
    "crosses",
    "distance_to_segments",
    "edges_of",
    "inside",
    "orientation",
    "orientations",
    "self_intersection",
]

Point = tuple[float, float]
Array = npt.NDArray[np.float64]

_BOUND = (3 + 16 * 2.0**-53) * 2.0**-53  # ccwerrboundA
_UNDERFLOW = 1e-290  # Products below it may have lost digits.


def orientation(start: Point, end: Point, point: Point) -> int:
    """Return on which side of the line from ``start`` to ``end`` a point is: 1 right, -1 left, 0 exactly on it."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    ex, ey = point[0] - start[0], point[1] - start[1]
    left, right = dx * ey, dy * ex
    determinant = left - right
    if abs(determinant) > _BOUND * (abs(left) + abs(right)) + _UNDERFLOW:
        return 1 if determinant > 0 else -1
    if (dx == 0 or ey == 0) and (dy == 0 or ex == 0):  # A difference is 0 only if its terms are equal.
        return 0
    sx, sy = Fraction(start[0]), Fraction(start[1])
    exact = (Fraction(end[0]) - sx) * (Fraction(point[1]) - sy) - (Fraction(end[1]) - sy) * (Fraction(point[0]) - sx)
    return (exact > 0) - (exact < 0)


def orientations(edges: Array, x: Array, y: Array) -> npt.NDArray[np.int8]:
    """Return :func:`orientation` of the points (x, y) to edges: int8 of the shape that all broadcast to.

    Args:
        edges: [E, 4], (start x, start y, end x, end y).
        x, y: of the points, [..., E] or [..., 1].
    """
    start_x, start_y = edges[:, 0], edges[:, 1]
    left = (edges[:, 2] - start_x) * (y - start_y)
    right = (edges[:, 3] - start_y) * (x - start_x)
    determinant = left - right
    signs = np.sign(determinant).astype(np.int8)
    uncertain = np.abs(determinant) <= _BOUND * (np.abs(left) + np.abs(right)) + _UNDERFLOW
    if uncertain.any():
        all_x, all_y = np.broadcast_to(x, signs.shape), np.broadcast_to(y, signs.shape)
        for index in zip(*np.nonzero(uncertain), strict=True):
            edge = edges[index[-1]].tolist()
            point = float(all_x[index]), float(all_y[index])
            signs[index] = orientation((edge[0], edge[1]), (edge[2], edge[3]), point)
    return signs


def contains(edges: Sequence[tuple[Point, Point]], point: Point) -> bool:
    """Return whether a point is in a polygon; on an edge or a corner it is inside."""
    x, y = point
    winding = 0
    for start, end in edges:
        starts_above, ends_above = start[1] <= y, end[1] <= y
        if starts_above == ends_above and start[1] != y and end[1] != y:
            continue
        side = orientation(start, end, point)
        if side == 0 and min(start[0], end[0]) <= x <= max(start[0], end[0]):
            return True
        # Winding number: D. Sunday, "Inclusion of a Point in a Polygon", 2001.
        if starts_above and not ends_above and side > 0:
            winding += 1
        elif ends_above and not starts_above and side < 0:
            winding -= 1
    return winding != 0


def inside(
    edges: Array, signs: npt.NDArray[np.int8], x: Array, y: Array, starts: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Return which points are in which polygons, bool [N, P], each as :func:`contains` does.

    Args:
        edges: [E, 4], those of all polygons, one after another.
        signs: of :func:`orientations`, [N, E].
        x, y: of the points, [N, E] or [N, 1].
        starts: index of the first edge of each of the P polygons.
    """
    start_y, end_y = edges[:, 1], edges[:, 3]
    above_start, above_end = start_y <= y, end_y <= y
    turns = (above_start & ~above_end & (signs > 0)).astype(np.int8) - (~above_start & above_end & (signs < 0))
    winding = np.add.reduceat(turns, starts, axis=1)
    result: npt.NDArray[np.bool_] = winding != 0
    on_line = signs == 0
    if on_line.any():
        left, right = np.minimum(edges[:, 0], edges[:, 2]), np.maximum(edges[:, 0], edges[:, 2])
        top, bottom = np.minimum(start_y, end_y), np.maximum(start_y, end_y)
        on_edge = on_line & (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
        result |= np.logical_or.reduceat(on_edge, starts, axis=1)
    return result


def crosses(before: Point, now: Point, start: Point, end: Point) -> int:
    """Return 1 if a step crosses the segment from its left to its right side, -1 if from right to left, else 0.

    A point on the segment counts as one on its right side, so that a path that ends on it and returns has crossed it
    there and back, and every path has the same sum of crossings however it is divided into steps. The ends belong to
    the segment.
    """
    was_right, is_right = orientation(start, end, before) >= 0, orientation(start, end, now) >= 0
    if was_right == is_right:
        return 0
    if orientation(before, now, start) * orientation(before, now, end) > 0:  # It passes beside the segment.
        return 0
    return 1 if is_right else -1


def edges_of(points: Sequence[Point], *, closed: bool) -> list[tuple[Point, Point]]:
    """Return the edges between consecutive points; of a ``closed`` polygon also that from the last to the first."""
    ends = [*points[1:], points[0]] if closed else points[1:]
    return list(zip(points, ends, strict=False))


def self_intersection(points: Sequence[Point]) -> tuple[int, int] | None:
    """Return the numbers, from 1, of two edges of a polygon that cross or touch beside a common corner, or None.

    Edge 1 is from the first to the second point. Neighbors that turn back over each other overlap, too.
    """
    edges = edges_of(points, closed=True)
    number = len(edges)
    for i in range(number):
        for j in range(i + 1, number):
            if j == i + 1 or (i == 0 and j == number - 1):
                first, second = (edges[i], edges[j]) if j == i + 1 else (edges[j], edges[i])
                if _turns_back(first[0], first[1], second[1]):
                    return i + 1, j + 1
            elif _touch(*edges[i], *edges[j]):
                return i + 1, j + 1
    return None


def distance_to_segments(point: Point, segments: Sequence[tuple[Point, Point]]) -> float:
    """Return the Euclidean distance of a point to the nearest of the segments, in the unit of the coordinates."""
    return min(_distance(point, start, end) for start, end in segments)


def _distance(point: Point, start: Point, end: Point) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy
    along = 0.0 if length == 0 else ((point[0] - start[0]) * dx + (point[1] - start[1]) * dy) / length
    along = min(1.0, max(0.0, along))
    return math.hypot(point[0] - start[0] - along * dx, point[1] - start[1] - along * dy)


def _turns_back(start: Point, corner: Point, end: Point) -> bool:
    """Return whether the edges start-corner and corner-end lie over each other."""
    if orientation(start, corner, end) != 0:
        return False
    return _is_between(start, corner, end) or _is_between(corner, end, start)


def _touch(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Return whether the segments a-b and c-d have a common point."""
    abc, abd = orientation(a, b, c), orientation(a, b, d)
    cda, cdb = orientation(c, d, a), orientation(c, d, b)
    if abc * abd < 0 and cda * cdb < 0:
        return True
    return (
        (abc == 0 and _is_between(a, b, c))
        or (abd == 0 and _is_between(a, b, d))
        or (cda == 0 and _is_between(c, d, a))
        or (cdb == 0 and _is_between(c, d, b))
    )


def _is_between(start: Point, end: Point, point: Point) -> bool:
    """Return whether a point of the line through start and end lies on the segment."""
    return min(start[0], end[0]) <= point[0] <= max(start[0], end[0]) and (
        min(start[1], end[1]) <= point[1] <= max(start[1], end[1])
    )
