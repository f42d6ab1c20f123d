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

import math
import re
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation
from edge_ssd.data.label_files.file_limits import MAX_BYTES_PER_IMAGE, read_label_file
from edge_ssd.data.label_files.shapes import Box, enclose_points
from edge_ssd.data.label_files.text_lines import decode_text

__all__ = ["YoloLabels", "looks_like_dota", "looks_like_labels", "parse_line", "read_labels"]

_MAX_CLASS_ID = 9999
_MAX_FIRST_LINE = 65536  # bytes
_TOLERANCE = 0.01  # of coordinates in 0–1
_DOTA_CORNERS = 8


@dataclass(frozen=True)
class YoloLabels:
    """Content of one YOLO label file.

    Attributes:
        boxes: in the order of the lines, in 0–1 of the image, with class ids in place of class indices.
        fault: the first line that is no object, and why; "" if there is none.
    """

    boxes: tuple[BoxAnnotation, ...]
    fault: str


def read_labels(path: Path, keypoints: bool = False, extra_numbers: int = 0) -> YoloLabels:
    """Read a label file; an empty one is valid.

    Args:
        keypoints: whether keypoints follow a box. Without this, such a line is read as a polygon.
        extra_numbers: how many other numbers follow a box; lines of another length are not changed by it. 0 for none.

    Raises OSError, UnsuitableFileError, or UnicodeDecodeError if the file is not UTF-8 text (or UTF-16 with a
    byte-order mark).
    """
    boxes: list[BoxAnnotation] = []
    fault = ""
    for number, line in enumerate(decode_text(read_label_file(path, MAX_BYTES_PER_IMAGE)).splitlines(), 1):
        if not line.strip():
            continue
        try:
            class_id, numbers = parse_line(line)
            is_box = keypoints or (extra_numbers > 0 and len(numbers) == 4 + extra_numbers)
            box, enclosing = _bounding_box(numbers, is_box)
            if enclosing:
                _check_polygon(numbers)
            boxes.append(BoxAnnotation(_check_class_id(class_id), box, f"line {number}", enclosing))
        except ValueError as error:
            fault = fault or f"line {number}: {error}: {line.strip()[:80]!r}"
    return YoloLabels(tuple(boxes), fault)


def looks_like_labels(path: Path) -> bool:
    """Return whether the first line of a file is a YOLO object: a class id with a box or a polygon."""
    try:
        class_id, numbers = parse_line(_first_line(path))
        if not _has_visible_points(numbers):
            _bounding_box(numbers, keypoints=False)
    except (OSError, ValueError):
        return False
    return class_id == int(class_id)


def looks_like_dota(path: Path) -> bool:
    """Return whether the first line of a file is four corners and a class name."""
    try:
        return _is_dota(_first_line(path))
    except (OSError, ValueError):
        return False


def _is_dota(line: str) -> bool:
    """Return whether a line is eight words with a digit and a name, perhaps followed by a difficulty."""
    words = line.split(None, _DOTA_CORNERS + 2)
    if len(words) <= _DOTA_CORNERS or words[_DOTA_CORNERS][0].isdecimal():
        return False
    has_numbers = all(re.search(r"\d", word) for word in words[:_DOTA_CORNERS])
    return has_numbers and words[_DOTA_CORNERS + 1 :] in ([], ["0"], ["1"], ["2"])


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        text = decode_text(file.read(_MAX_FIRST_LINE))
    return next(iter(text.splitlines()), "")


def _has_visible_points(numbers: list[float]) -> bool:
    """Return whether keypoints (x, y, visibility) seem to follow a box."""
    return len(numbers) > 4 and len(numbers) % 3 == 1 and {*numbers[6::3]} <= {0.0, 1.0, 2.0}


def parse_line(line: str) -> tuple[float, list[float]]:
    """Return the class id and the numbers after it; raise ValueError if the line has anything but numbers."""
    try:
        class_id, *numbers = map(float, line.split())
    except ValueError:
        advice = ": corners and a name are read with --format dota" if _is_dota(line) else ""
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


def _check_polygon(numbers: list[float]) -> None:
    """Raise ValueError for numbers of which some are no coordinates in 0–1, such as those behind a box."""
    outside = [number for number in numbers if number < -_TOLERANCE or number > 1 + _TOLERANCE]
    if 0 < len(outside) <= len(numbers) / 2:  # more of them are a polygon in pixels, which --box-units states
        raise ValueError(f"no polygon in 0 to 1, with the number {outside[0]:g}")
