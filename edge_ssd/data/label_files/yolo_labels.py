"""One label file of YOLO: one object per line, in 0–1 of the image.

    0 0.5 0.5 0.2 0.3                    class id, center x, center y, width, height
    0 0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4    class id and four corners: a rotated box
    0 0.1 0.1 0.2 0.05 0.3 0.3 …         class id and at least three points: a polygon

Rotated boxes and polygons are reduced to axis-aligned bounding boxes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation
from edge_ssd.data.dataset import Problem

__all__ = ["YoloLabels", "looks_like_labels", "read_labels"]

_MAX_CLASS_ID = 9999


@dataclass(frozen=True)
class YoloLabels:
    """Content of one YOLO label file.

    Attributes:
        boxes: in the order of the lines, in 0–1 of the image.
        reduced: number of polygons, rotated boxes and boxes with keypoints.
    """

    boxes: tuple[BoxAnnotation, ...]
    problems: tuple[Problem, ...]
    reduced: int


def read_labels(path: Path, index_of: Mapping[int, int] | None = None, keypoints: bool = False) -> YoloLabels:
    """Read a label file; an empty one is valid. Invalid lines are dropped and reported.

    Args:
        index_of: class id → class index; None if classes are not named, then the index is the id.
        keypoints: whether keypoints follow a box. Without this, such a line is read as a polygon.

    Raises OSError, or UnicodeDecodeError if the file is not UTF-8 text.
    """
    boxes: list[BoxAnnotation] = []
    problems: list[Problem] = []
    reduced = 0
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            class_id, numbers = _parse_line(line)
            index = _class_index(class_id, index_of)
            boxes.append(BoxAnnotation(index, _bounding_box(numbers, keypoints), f"line {number}"))
        except ValueError as error:
            problems.append(Problem(path, f"line {number}: {error}: {line.strip()[:80]!r}; dropped"))
        else:
            reduced += len(numbers) > 4
    return YoloLabels(tuple(boxes), tuple(problems), reduced)


def looks_like_labels(path: Path) -> bool:
    """Return whether the first line of a file is a YOLO object: a class id with a box or a polygon."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            class_id, numbers = _parse_line(file.readline(65536))
        _bounding_box(numbers, keypoints=False)
    except (OSError, ValueError):
        return False
    return class_id == int(class_id)


def _parse_line(line: str) -> tuple[float, list[float]]:
    """Return the class id and the numbers after it; raise ValueError if the line has anything but numbers."""
    try:
        class_id, *numbers = map(float, line.split())
    except ValueError:
        raise ValueError("expected a class id and numbers") from None
    if not math.isfinite(class_id):
        raise ValueError("no class id")
    return class_id, numbers


def _class_index(class_id: float, index_of: Mapping[int, int] | None) -> int:
    """Return the index of a class; raise ValueError if its id is invalid."""
    if class_id != int(class_id) or not 0 <= class_id <= _MAX_CLASS_ID:
        raise ValueError(f"{class_id:g} is not a class id")
    if index_of is None:
        return int(class_id)
    if class_id not in index_of:
        raise ValueError(f"class id {int(class_id)} has no name, only {_format_ids(index_of)} have")
    return index_of[int(class_id)]


def _bounding_box(numbers: list[float], keypoints: bool) -> tuple[float, float, float, float]:
    """Return the axis-aligned bounding box, xyxy; raise ValueError for numbers that are neither box nor polygon."""
    if len(numbers) == 4 or (keypoints and len(numbers) > 4):
        x, y, width, height = numbers[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"{len(numbers)} numbers after the class id, expected 4 (a box) or pairs (a polygon)")
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("a corner is not finite")
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


def _format_ids(ids: Collection[int]) -> str:
    return f"0 to {max(ids)}" if len(ids) == max(ids, default=-1) + 1 else ", ".join(map(str, sorted(ids)))
