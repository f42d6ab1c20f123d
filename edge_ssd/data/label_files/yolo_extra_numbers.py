"""Numbers after the boxes in YOLO label files: a confidence, the number of a track, or keypoints.

Lines of a class id and six or more numbers are polygons or boxes with something behind, and only the lines of a whole
dataset show which: those of boxes have the same count of numbers, and the first four of each are a box in its image.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edge_ssd.data.box_layouts import Numbers, to_xyxy
from edge_ssd.data.label_files.yolo_labels import parse_line

__all__ = ["count_extra_numbers"]

# Files and bytes that are read.
_MAX_FILES, _MAX_BYTES = 200, 65536
# Largest coordinate in 0–1, with a tolerance for rounding.
_MAX_COORDINATE = 1.01
# Lines that are needed to conclude something from flags, and from the places of points.
_MIN_LINES, _MIN_LINES_POINTS = 3, 8
# Part of a box's side by which its keypoints may leave it.
_MARGIN = 0.1
# The second point of a polygon is hardly so many times farther from the others than these are from each other.
_MIN_OUTLYING = 2.0


def count_extra_numbers(paths: Iterable[Path]) -> int:
    """Return how many numbers follow the box in every line of the label files; 0 if they are points of a polygon.

    They are no points if all lines have the same count of them, the first four numbers are a box in 0–1, and later ones
    exceed 1, or are flags in every line, or the points are in their box and would be an improbable polygon.
    """
    lines: list[list[float]] = []
    for path in itertools.islice(paths, _MAX_FILES):
        try:
            with path.open(encoding="utf-8-sig") as file:
                lines += [parse_line(line)[1] for line in file.readlines(_MAX_BYTES) if line.strip()]
        except (OSError, ValueError):  # reported where it is read
            continue
        if len({len(line) for line in lines}) > 1:
            return 0
    if not lines or len(lines[0]) < 6:
        return 0
    table = np.array(lines, np.float64)
    if not np.isfinite(table).all() or table[:, :4].min() < 0 or table[:, :4].max() > _MAX_COORDINATE:
        return 0
    extra = table[:, 4:]
    if extra.max() > _MAX_COORDINATE or (_in_image(table) and (_has_flags(extra) or _has_points(table))):
        return int(extra.shape[1])
    return 0


def _in_image(table: Numbers) -> bool:
    """Return whether the first four numbers of all lines, as center and size, are a box in its image."""
    boxes = to_xyxy(table[:, :4], "cxcywh")
    tolerance = _MAX_COORDINATE - 1
    return bool(boxes.min() >= -tolerance and boxes.max() <= 1 + tolerance and table[:, 2:4].min() > 0)


def _has_flags(extra: Numbers) -> bool:
    """Return whether numbers [N, K] are a confidence and a track, in any order, or points with their visibility."""
    if len(extra) < _MIN_LINES or extra.min() < 0:
        return False
    whole = (extra == np.round(extra)).all(axis=0)
    if extra.shape[1] == 2:
        return bool(whole.any())
    return extra.shape[1] % 3 == 0 and bool(whole[2::3].all() and not whole.all())


def _has_points(table: Numbers) -> bool:
    """Return whether pairs of numbers after a box are points in it, rather than further corners of a polygon."""
    if len(table) < _MIN_LINES_POINTS or table.shape[1] % 2:
        return False
    points = table[:, 4:].reshape(len(table), -1, 2)
    center, size = table[:, None, :2], table[:, None, 2:4]
    if not (np.abs(points - center) <= (0.5 + _MARGIN) * size).all():
        return False
    # As a polygon: the first and the later points, without the second one, which is the size of a box.
    others = np.concatenate((center, points), axis=1)
    low, high = others.min(axis=1), others.max(axis=1)
    second = table[:, 2:4]
    distance = np.maximum(np.maximum(low - second, second - high), 0).max(axis=1)
    extent = np.maximum((high - low).max(axis=1), 1e-9)
    return bool(np.median(distance / extent) >= _MIN_OUTLYING)
