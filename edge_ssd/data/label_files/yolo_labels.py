"""One label file of YOLO: one object per line, in 0–1 of the image.

    0 0.5 0.5 0.2 0.3                    class id, center x, center y, width, height
    0 0.5 0.5 0.2 0.3 0.91               the same with a confidence, as detectors write it
    0 0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4    class id and four corners: a rotated box
    0 0.1 0.1 0.2 0.05 0.3 0.3 …         class id and at least three points: a polygon
    0 0.5 0.5 0.2 0.3 0.91 7             confidence and number of a track after a box, in every line of a dataset
    0 0.5 0.5 0.2 0.3 0.4 0.4 2 …        keypoints (x, y, visibility) after a box, in every line of a dataset

Rotated boxes and polygons are reduced to axis-aligned bounding boxes.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation
from edge_ssd.data.label_files.shapes import Box, enclose_points
from edge_ssd.data.label_files.text_lines import decode_text

__all__ = ["YoloLabels", "count_extra_numbers", "looks_like_labels", "read_labels"]

_MAX_CLASS_ID = 9999
# Files and bytes that are read to find out whether other numbers follow the boxes.
_MAX_SURVEYED_FILES, _MAX_SURVEYED_BYTES = 200, 65536
# Largest coordinate of a point in 0–1, with a tolerance for rounding.
_MAX_COORDINATE = 1.01
_DOTA = re.compile(r"(\S*\d\S*\s+){8}\D\S*(\s+[012])?\s*")


@dataclass(frozen=True)
class YoloLabels:
    """Content of one YOLO label file.

    Attributes:
        boxes: in the order of the lines, in 0–1 of the image, with class ids in place of class indices.
        fault: the first line that is no object, and why; "" if there is none.
    """

    boxes: tuple[BoxAnnotation, ...]
    fault: str


def read_labels(path: Path, keypoints: bool = False) -> YoloLabels:
    """Read a label file; an empty one is valid.

    Args:
        keypoints: whether keypoints follow a box. Without this, such a line is read as a polygon.

    Raises OSError, or UnicodeDecodeError if the file is not UTF-8 text (or UTF-16 with a byte-order mark).
    """
    boxes: list[BoxAnnotation] = []
    fault = ""
    for number, line in enumerate(decode_text(path.read_bytes()).splitlines(), 1):
        if not line.strip():
            continue
        try:
            class_id, numbers = _parse_line(line)
            box, enclosing = _bounding_box(numbers, keypoints)
            boxes.append(BoxAnnotation(_check_class_id(class_id), box, f"line {number}", enclosing))
        except ValueError as error:
            fault = fault or f"line {number}: {error}: {line.strip()[:80]!r}"
    return YoloLabels(tuple(boxes), fault)


def looks_like_labels(path: Path) -> bool:
    """Return whether the first line of a file is a YOLO object: a class id with a box or a polygon."""
    try:
        with path.open("rb") as file:
            text = decode_text(file.read(_MAX_SURVEYED_BYTES))
        class_id, numbers = _parse_line(text.splitlines()[0] if text else "")
        _bounding_box(numbers, keypoints=False)
    except (OSError, ValueError):
        return False
    return class_id == int(class_id)


def count_extra_numbers(paths: Iterable[Path]) -> int:
    """Return how many numbers follow the box in every line, such as a track's or keypoints; 0 if they are points.

    They are no points if all lines have the same count of them, the first four numbers are a box in 0–1, and later ones
    exceed 1.
    """
    counts: set[int] = set()
    exceeds = False
    for path in itertools.islice(paths, _MAX_SURVEYED_FILES):
        try:
            with path.open(encoding="utf-8-sig") as file:
                lines = [_parse_line(line)[1] for line in file.readlines(_MAX_SURVEYED_BYTES) if line.strip()]
        except (OSError, ValueError):  # reported where it is read
            continue
        counts.update(map(len, lines))
        if len(counts) > 1 or any(not all(0 <= number <= _MAX_COORDINATE for number in line[:4]) for line in lines):
            return 0
        exceeds = exceeds or any(number > _MAX_COORDINATE for line in lines for number in line[4:])
    return max(counts) - 4 if exceeds and min(counts) >= 6 else 0


def _parse_line(line: str) -> tuple[float, list[float]]:
    """Return the class id and the numbers after it; raise ValueError if the line has anything but numbers."""
    try:
        class_id, *numbers = map(float, line.split())
    except ValueError:
        advice = ": corners and a name are read with --format dota" if _DOTA.fullmatch(line) else ""
        raise ValueError(f"expected a class id and numbers{advice}") from None
    if not math.isfinite(class_id):
        raise ValueError("no class id")
    return class_id, numbers


def _check_class_id(class_id: float) -> int:
    if class_id != int(class_id) or not 0 <= class_id <= _MAX_CLASS_ID:
        raise ValueError(f"{class_id:g} is not a class id")
    return int(class_id)


def _bounding_box(numbers: list[float], keypoints: bool) -> tuple[Box, bool]:
    """Return the box, xyxy, and whether it encloses another shape; raise ValueError for numbers that are no shape."""
    if len(numbers) in (4, 5) or (keypoints and len(numbers) > 4):
        x, y, width, height = numbers[:4]
        return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), False
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"{len(numbers)} numbers after the class id, expected 4 (a box) or pairs (a polygon)")
    return enclose_points(zip(numbers[::2], numbers[1::2], strict=True)), True
