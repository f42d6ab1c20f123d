"""Geometry of zones: literals worked out by hand, and fractions as the reference."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_apps.zones.geometry import (
    Point,
    contains,
    crosses,
    distance_to_segments,
    edges_of,
    inside,
    orientation,
    orientations,
    self_intersection,
)

SQUARE = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)]
U = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.6, 0.9), (0.6, 0.4), (0.4, 0.4), (0.4, 0.9), (0.1, 0.9)]


def is_inside(polygon: list[Point], *points: Point) -> list[bool]:
    edges = np.array(edges_of(polygon, closed=True), np.float64).reshape(-1, 4)
    x, y = np.array(points, np.float64).T[..., None]
    placed = inside(edges, orientations(edges, x, y), x, y, [0])[:, 0].tolist()
    assert placed == [contains(edges_of(polygon, closed=True), point) for point in points]
    return placed


def exact_orientation(a: Point, b: Point, p: Point) -> int:
    (ax, ay), (bx, by), (px, py) = ((Fraction(x), Fraction(y)) for x, y in (a, b, p))
    value = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    return (value > 0) - (value < 0)


# Few different values, so that points often lie on edges, and values that differ in the last bits.
value = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.30000000000000004, 0.5, 0.6, 0.7000000000000001, 0.9, 1.0, 5e-324])
point = st.tuples(value, value)


@given(point, point, point)
def test_orientation_is_exact(a: Point, b: Point, p: Point) -> None:
    assert orientation(a, b, p) == exact_orientation(a, b, p)


@given(point, point, st.lists(point, min_size=1, max_size=5))
def test_orientations_equal_orientation(a: Point, b: Point, points: list[Point]) -> None:
    x, y = np.array(points, np.float64).T[..., None]
    edges = np.array([[*a, *b], [*b, *a]], np.float64)
    expected = [[exact_orientation(a, b, p), exact_orientation(b, a, p)] for p in points]
    assert orientations(edges, x, y).tolist() == expected


def test_orientation_where_float64_rounds_to_zero() -> None:
    # 0.1 + 0.2 is above 0.3: the point is beside the line, although the products are equal in float64.
    assert orientation((0.0, 0.0), (1.0, 1.0), (0.1, math.nextafter(0.1, 1))) == 1
    assert orientation((0.1, 0.1), (0.9, 0.9), (0.5, 0.5)) == exact_orientation((0.1, 0.1), (0.9, 0.9), (0.5, 0.5))


def test_point_on_an_edge_or_a_corner_is_inside() -> None:
    assert is_inside(SQUARE, (0.2, 0.2), (0.5, 0.2), (0.8, 0.5), (0.2, 0.8)) == [True] * 4
    outside = [(0.5, math.nextafter(0.2, 0)), (math.nextafter(0.8, 1), 0.5), (0.1, 0.2), (0.9, 0.8)]
    assert is_inside(SQUARE, *outside) == [False] * 4


@pytest.mark.parametrize("polygon", [U, U[::-1]], ids=["clockwise", "counterclockwise"])
def test_inside_of_a_polygon_that_is_not_convex(polygon: list[Point]) -> None:
    assert is_inside(polygon, (0.5, 0.2), (0.2, 0.8), (0.7, 0.8), (0.4, 0.6)) == [True] * 4
    assert is_inside(polygon, (0.5, 0.8), (0.95, 0.5), (0.05, 0.1)) == [False] * 3


@given(st.lists(point, min_size=3, max_size=6), st.lists(point, min_size=1, max_size=4))
def test_points_are_placed_alike_one_by_one_and_at_once(polygon: list[Point], points: list[Point]) -> None:
    is_inside(polygon, *points)


def test_inside_places_points_in_several_polygons_at_once() -> None:
    edges = np.array(edges_of(SQUARE, closed=True) + edges_of(U, closed=True), np.float64).reshape(-1, 4)
    x, y = np.array([(0.5, 0.6), (0.15, 0.15), (0.3, 0.3)]).T[..., None]
    placed = inside(edges, orientations(edges, x, y), x, y, [0, 4])
    assert placed.tolist() == [[True, False], [False, True], [True, True]]


START, END = (0.2, 0.5), (0.8, 0.5)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((0.5, 0.4), (0.5, 0.6), 1),  # Downwards: from the left to the right of a line that points to the right.
        ((0.5, 0.6), (0.5, 0.4), -1),
        ((0.5, 0.0), (0.3, 1.0), 1),  # A jump.
        ((0.5, 0.4), (0.6, 0.4), 0),
        ((0.1, 0.4), (0.1, 0.6), 0),  # Beside it.
        ((0.5, 0.4), (0.5, 0.5), 1),  # Onto it counts, and so does the way back.
        ((0.5, 0.5), (0.5, 0.4), -1),
        ((0.5, 0.5), (0.5, 0.6), 0),
        ((0.1, 0.4), (0.1, 0.5), 0),  # Onto its continuation.
        ((0.2, 0.4), (0.2, 0.6), 1),  # Through an end.
        ((0.1, 0.4), (0.9, 0.6), 1),
        ((0.5, 0.5), (0.5, 0.5), 0),
    ],
)
def test_crosses_by_hand(before: Point, now: Point, expected: int) -> None:
    assert crosses(before, now, START, END) == expected


@given(st.lists(point, min_size=2, max_size=8), point, point)
def test_crossings_of_a_path_and_its_way_back_add_up_to_zero(path: list[Point], start: Point, end: Point) -> None:
    if start == end:
        return
    there = sum(crosses(a, b, start, end) for a, b in pairwise(path))
    back = sum(crosses(b, a, start, end) for a, b in pairwise(path))
    assert there == -back


def test_self_intersection_names_the_edges() -> None:
    assert self_intersection(SQUARE) is None
    assert self_intersection(U) is None
    assert self_intersection([(0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)]) == (1, 3)  # A bow tie.
    assert self_intersection([(0, 0), (1, 0), (1, 1), (0.5, 0), (0, 1)]) == (1, 3)  # A corner touches an edge.
    assert self_intersection([(0, 0), (1, 0), (0.5, 0), (0.5, 1)]) == (1, 2)  # It turns back.
    assert self_intersection([(0, 0), (0.5, 0), (1, 0), (1, 1)]) is None  # A corner of 180 degrees.


def test_distance_to_segments_by_hand() -> None:
    assert distance_to_segments((0.5, 0.9), [(START, END)]) == pytest.approx(0.4)
    assert distance_to_segments((1.1, 0.9), [(START, END)]) == pytest.approx(0.5)  # 0.3, 0.4
    assert distance_to_segments((0.5, 0.5), [(START, END), ((0, 0), (0, 0))]) == 0
