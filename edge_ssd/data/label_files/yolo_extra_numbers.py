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

from edge_ssd.console.counts import count
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
_MAY_BE_KEYPOINTS = (
    "its lines are read as polygons of equally many corners: if they are boxes with keypoints, state these in "
    "data.yaml, such as kpt_shape: [2, 2]"
)


class ExtraNumbers(NamedTuple):
    """Numbers after the box in lines of a dataset.

    Attributes:
        length: how many they are; 0 if the lines are boxes alone, or polygons.
        doubt: why the numbers may be something else than they are read as; "" if that is sure.
    """

    length: int = 0
    doubt: str = ""


class _Line(NamedTuple):
    """Numbers after the class id, and where they are."""

    numbers: list[float]
    location: str


def find_extra_numbers(paths: Iterable[Path]) -> ExtraNumbers:
    """Return which numbers follow the box in lines of the label files, as far as they are no points of a polygon.

    They are no points if all lines with more than a box have the same count of them, the first four numbers are a box
    in 0–1, and later ones exceed 1, or are flags in every line, or the points are in their box and would be an
    improbable polygon.
    """
    boxes: list[_Line] = []
    longer: list[_Line] = []
    for line in _read_lines(paths):
        (boxes if len(line.numbers) < 6 else longer).append(line)
    if not longer:
        return ExtraNumbers(doubt=_doubt_fifth_number(boxes))
    if len({len(line.numbers) for line in longer}) > 1:
        return ExtraNumbers()
    extra = _judge_lines(np.array([line.numbers for line in longer], np.float64))
    if extra.length or len(longer) >= min(len(boxes), _MIN_LINES_POINTS):
        return extra
    read = f"{len(longer[0].numbers)} numbers after the class id in {count(len(longer), 'line')}, 4 in the others"
    return ExtraNumbers(
        doubt=f"{read}: read as polygons ({longer[0].location}); correct "
        "them if they are two joined lines, or boxes with other numbers behind"
    )


def _read_lines(paths: Iterable[Path]) -> list[_Line]:
    lines = []
    for path in itertools.islice(paths, _MAX_FILES):
        try:
            with path.open("rb") as file:
                head = file.read(_MAX_BYTES)
            # The last line may be cut off.
            whole = head if len(head) < _MAX_BYTES else head[: head.rfind(b"\n") + 1]
            texts = enumerate(whole.decode("utf-8-sig").splitlines(), 1)
            lines += [
                _Line(parse_line(text)[1], f"{path.name}, line {number}") for number, text in texts if text.strip()
            ]
        except (OSError, ValueError):  # reported where it is read
            continue
    return lines


def _doubt_fifth_number(lines: Iterable[_Line]) -> str:
    """Return what the numbers after a box may be if they are no confidences, or ""."""
    for numbers, location in lines:
        if len(numbers) == 5 and not 0 <= numbers[4] <= _MAX_COORDINATE:
            number = f"the fifth number after the class id is no confidence ({numbers[4]:g} in {location})"
            return f"{number}: not used; if it is the angle of a rotated box, export corners or boxes without an angle"
    return ""


def _judge_lines(table: Numbers) -> ExtraNumbers:
    """Return what follows the first four numbers in lines [N, K] with equally many numbers, at least six."""
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
    if table.shape[1] % 2:
        return ExtraNumbers()
    if len(table) < _MIN_LINES_POINTS:
        return ExtraNumbers(doubt=_MAY_BE_KEYPOINTS)
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
    return ExtraNumbers(doubt=_MAY_BE_KEYPOINTS if independent else "")
