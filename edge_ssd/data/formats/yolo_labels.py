"""One label file of YOLO: an object a line, in shares of the picture.

    0 0.5 0.5 0.2 0.3                    class, centre x, centre y, width, height
    0 0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4    class and four corners: a rotated box
    0 0.1 0.1 0.2 0.05 0.3 0.3 …         class and three points or more: a polygon

Rotated boxes and polygons become the upright box around them.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.dataset import Problem

__all__ = ["LabelLines", "YoloObject", "looks_like_labels", "read_label_lines"]

_MAX_CLASS = 9999


@dataclass(frozen=True)
class YoloObject:
    """A line: class id, box in 0–1 of the picture, the line's number from 1."""

    class_id: int
    box_xyxy: tuple[float, float, float, float]
    line: int


@dataclass(frozen=True)
class LabelLines:
    """A label file as read; ``reduced`` is how many of its objects were polygons, rotated boxes or had keypoints."""

    objects: tuple[YoloObject, ...]
    problems: tuple[Problem, ...]
    reduced: int


def read_label_lines(path: Path, known: Collection[int] | None = None, keypoints: bool = False) -> LabelLines:
    """Read a label file; an empty one says that its picture is background.

    Lines that are no object, or of a class id that is not ``known`` (None: any), are left out and reported.

    Args:
        keypoints: whether a box is followed by keypoints, which a line alone does not tell from a polygon.

    Raises OSError or UnicodeDecodeError.
    """
    objects: list[YoloObject] = []
    problems: list[Problem] = []
    reduced = 0
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        values = line.split()
        if not values:
            continue
        try:
            class_id, *numbers = _numbers(values)
            box = _box(numbers, keypoints)
        except ValueError as error:
            problems.append(Problem(path, f"line {number} {error}: {line.strip()[:80]!r}; dropped"))
            continue
        if class_id != int(class_id) or not 0 <= class_id <= _MAX_CLASS:
            problems.append(Problem(path, f"line {number}: {values[0]} is no class id; dropped"))
        elif known is not None and int(class_id) not in known:
            problems.append(
                Problem(path, f"line {number}: class id {int(class_id)} has no name, only {_span(known)} have; dropped")
            )
        else:
            objects.append(YoloObject(int(class_id), box, number))
            reduced += len(numbers) > 4
    return LabelLines(tuple(objects), tuple(problems), reduced)


def looks_like_labels(path: Path) -> bool:
    """Whether the file's first line is an object of this format."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            values = file.readline(65536).split()
        class_id, *numbers = _numbers(values)
        _box(numbers, keypoints=False)
    except (OSError, ValueError):
        return False
    return class_id == int(class_id)


def _numbers(values: list[str]) -> list[float]:
    """Raises ValueError, in words, for what is not a class id and numbers."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        raise ValueError("holds something else than numbers") from None
    if not numbers or not math.isfinite(numbers[0]):
        raise ValueError("has no class id")
    return numbers


def _box(numbers: list[float], keypoints: bool) -> tuple[float, float, float, float]:
    """The upright box, xyxy; raises ValueError, in words, for another count of numbers."""
    if len(numbers) == 4 or (keypoints and len(numbers) > 4):
        x, y, width, height = numbers[:4]
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"has {len(numbers)} numbers after the class id, where a box has 4 and a polygon pairs")
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("has a corner that is not finite")
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


def _span(ids: Collection[int]) -> str:
    return f"0 to {max(ids)}" if len(ids) == max(ids, default=-1) + 1 else ", ".join(map(str, sorted(ids)))
