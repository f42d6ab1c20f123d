"""Numbers after the boxes in YOLO label files: a confidence, the number of a track, or keypoints.

Lines of a class id and six or more numbers are polygons or boxes with something behind, and only the lines of a whole
dataset show which: those of boxes have the same count of numbers, and the first four of each are a box in its image.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_ssd.data.box_layouts import Numbers, to_xyxy
from edge_ssd.data.label_files.yolo_labels import parse_line

__all__ = ["ExtraNumbers", "find_extra_numbers"]

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
# It is nearer to the others than to those of other lines; the size of a box is not. Where all objects are in one place
# (centers with less than this standard deviation, in 0–1), that shows nothing.
_MIN_DISTANCE, _MIN_SPREAD = 0.8, 0.08
_MAX_LINES = 1000  # that are compared with each other


class ExtraNumbers(NamedTuple):
    """Numbers after the box in every line of a dataset.

    Attributes:
        length: how many they are; 0 if the lines are boxes alone, or polygons.
        doubtful: whether the lines are read as polygons, and may be boxes with keypoints.
    """

    length: int = 0
    doubtful: bool = False


def find_extra_numbers(paths: Iterable[Path]) -> ExtraNumbers:
    """Return which numbers follow the box in every line of the label files, as far as they are no points of a polygon.

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
            return ExtraNumbers()
    if not lines or len(lines[0]) < 6:
        return ExtraNumbers()
    table = np.array(lines, np.float64)
    if not np.isfinite(table).all() or table[:, :4].min() < 0 or table[:, :4].max() > _MAX_COORDINATE:
        return ExtraNumbers()
    extra = table[:, 4:]
    if extra.max() > _MAX_COORDINATE:
        return ExtraNumbers(extra.shape[1])
    if not _in_image(table):
        return ExtraNumbers()
    if _has_flags(extra):
        return ExtraNumbers(extra.shape[1])
    return _judge_points(table[:: math.ceil(len(table) / _MAX_LINES)])


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


def _judge_points(table: Numbers) -> ExtraNumbers:
    """Return whether pairs of numbers after a box are points in it, rather than further corners of a polygon."""
    if len(table) < _MIN_LINES_POINTS or table.shape[1] % 2:
        return ExtraNumbers()
    points = table[:, 4:].reshape(len(table), -1, 2)
    center, size = table[:, :2], table[:, 2:4]
    if not (np.abs(points - center[:, None]) <= (0.5 + _MARGIN) * size[:, None]).all():
        return ExtraNumbers()
    # As a polygon: the first and the later points, and the second one, which is the size of a box.
    others = np.concatenate((center[:, None], points), axis=1)
    low, high = others.min(axis=1), others.max(axis=1)
    outside = np.maximum(np.maximum(low - size, size - high), 0).max(axis=1)
    extent = np.maximum((high - low).max(axis=1), 1e-9)
    distances = np.linalg.norm(others.mean(axis=1)[:, None] - size[None], axis=2)
    own, total = distances.trace(), distances.sum()
    among_others = (total - own) / (len(table) - 1)
    independent = own >= _MIN_DISTANCE * among_others
    if np.median(outside / extent) >= _MIN_OUTLYING or (independent and center.std(axis=0).max() >= _MIN_SPREAD):
        return ExtraNumbers(table.shape[1] - 4)
    return ExtraNumbers(doubtful=bool(independent))
