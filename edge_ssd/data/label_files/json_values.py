"""Reading of JSON files, and of the values in them, which may be anything.

The functions that return a value raise ValueError, with what was expected, for a value of another kind.
"""

from __future__ import annotations

import codecs
import json
import re
from pathlib import Path
from typing import Any

from edge_ssd.data.label_files.file_limits import UnsuitableFileError, read_label_file
from edge_ssd.data.label_files.image_size import plausible_size
from edge_ssd.data.label_files.shapes import Box, enclose_rotated_box
from edge_ssd.errors import DataError

__all__ = [
    "get",
    "get_text",
    "load_json",
    "parse_json",
    "rotate_box",
    "stated_size",
    "to_name",
    "to_number",
    "to_numbers",
    "to_points",
    "xywh_to_xyxy",
]

# What is nested deeper than Python's calls may be cannot be shown or compared.
_MAX_DEPTH = 100
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STRINGS = re.compile(rb'"[^"]*"')  # of valid JSON, without escaped quotes


def load_json(path: Path) -> Any:
    """Return the content of a JSON file; raise DataError if it cannot be read or is invalid."""
    try:
        return parse_json(read_label_file(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions") from None
    except UnsuitableFileError as error:
        raise DataError(f"{path}: {error}") from None
    except ValueError as error:
        raise DataError(f"{path}: invalid JSON ({error}): export the labels again") from None


def parse_json(content: bytes) -> Any:
    """Return the content of JSON in UTF-8 or UTF-16; raise ValueError if it is invalid or nested too deeply."""
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        if type(error) is ValueError:  # Of int(), whose message is for programmers.
            raise ValueError("it has a number of thousands of digits") from None
        raise
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16").encode("utf-8", "surrogatepass") if is_utf_16 else content
    if _exceeds_depth(text.translate(None, _NOT_BRACKETS)) and _exceeds_depth(
        _STRINGS.sub(b"", text.replace(b"\\\\", b"").replace(b'\\"', b"")).translate(None, _NOT_BRACKETS)
    ):
        raise ValueError("nested too deeply")
    return value


def _exceeds_depth(brackets: bytes) -> bool:
    """Return whether the brackets of valid JSON are nested more than a limit, or do not match, as in texts."""
    for _ in range(_MAX_DEPTH):
        size = len(brackets)
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if len(brackets) == size:
            break
    return len(brackets) > 0


def get(item: object, key: str, *others: str) -> Any:
    """Return the value of a key of a JSON object, or of the first of other keys that has one, or None."""
    if not isinstance(item, dict):
        return None
    value = item.get(key)
    if not others:
        return value
    for other in others:
        if value is None:
            value = item.get(other)
    return value


def get_text(item: object, *keys: str) -> str:
    """Return the first stripped text that is not empty under some keys of a JSON object, or ""."""
    texts = (get(item, key) for key in keys)
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")


def to_number(value: object) -> float:
    """Return a number, which may be infinite or not a number, as Python's JSON allows."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise ValueError(f"expected a number, got {value!r:.40}")


def to_numbers(value: object, count: int | None = None) -> list[float]:
    """Return a list of ``count`` numbers, or of any count."""
    if not isinstance(value, list) or count not in (None, len(value)):
        raise ValueError(f"expected a list of {'' if count is None else f'{count} '}numbers, got {value!r:.40}")
    return [number if type(number) is float else to_number(number) for number in value]


def to_points(value: object) -> list[tuple[float, float]]:
    """Return points from a list of pairs, or from the flat list of their coordinates."""
    if not isinstance(value, list) or not value:
        raise ValueError(f"expected a list of points, got {value!r:.40}")
    if isinstance(value[0], list):
        pairs = [to_numbers(point, 2) for point in value]
    else:
        numbers = to_numbers(value)
        if len(numbers) % 2:
            raise ValueError(f"expected pairs of coordinates, got {len(numbers)} numbers")
        pairs = [numbers[i : i + 2] for i in range(0, len(numbers), 2)]
    return [(x, y) for x, y in pairs]


def to_name(value: object) -> str:
    """Return the name of a class, which some tools write as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError("no label" if value in (None, "") else f"expected a label, got {value!r:.40}")
    return value.strip()


def xywh_to_xyxy(numbers: list[float]) -> Box:
    """Return the corners of a box of (xmin, ymin, width, height)."""
    xmin, ymin, width, height = numbers
    return xmin, ymin, xmin + width, ymin + height


def rotate_box(box_xyxy: Box, degrees: object) -> tuple[Box, bool]:
    """Return the box around a box that is rotated clockwise around its center, and whether it is rotated at all.

    Args:
        degrees: the angle; None for an upright box.
    """
    angle = 0.0 if degrees is None else float(degrees) if isinstance(degrees, str) else to_number(degrees)
    return (enclose_rotated_box(box_xyxy, angle), True) if angle % 360 else (box_xyxy, False)


def stated_size(height: object, width: object) -> tuple[int, int] | None:
    """Return the (height, width) that a file states for an image, or None: some tools omit them or write 0."""
    return plausible_size(height, width) if isinstance(height, int) and isinstance(width, int) else None
