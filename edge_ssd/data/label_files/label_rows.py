"""The rows of a label table: an object, or that an image has none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edge_ssd.data.label_files.image_size import plausible_size
from edge_ssd.data.label_files.label_columns import Columns
from edge_ssd.data.label_files.shapes import Box
from edge_ssd.data.label_files.text_table import parse_number

__all__ = ["LabelRow", "find_grouped_number", "image_of_row", "parse_row", "states_nothing"]

# Labels of images without an object, which their tools write with an empty box.
_BACKGROUND_LABELS = frozenset({"", "background", "none", "negative", "no finding", "no object", "nothing"})
_EMPTY_CELLS = frozenset({"", "nan", "null", "none", "[]"})
# A number with separators of thousands. Between digits, a point or comma may be that of decimals instead.
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:(?P<mark>[.,])\d{3}|[\s'’]\d{3})+")
_MIN_GROUPED = 3


@dataclass(frozen=True)
class LabelRow:
    """One row of a label table, as stated and unchecked."""

    image: str  # file name or path
    label: str  # class name or class id
    box_xyxy: Box  # in pixels, or in 0–1 with LabelTable.normalized
    size: tuple[int, int] | None  # (height, width) of the image, if stated
    line: int  # the header is line 1


def image_of_row(cells: Sequence[str], columns: Columns) -> str:
    """Return the image that a row states; "" if its cell is empty or has only signs, such as those for "ditto"."""
    image = cells[columns.image] if columns.image < len(cells) else ""
    return image if re.search(r"\w", image) else ""


def states_nothing(cells: Sequence[str], columns: Columns) -> bool:
    """Return whether a row has no box, and no label or that of images without objects.

    Without a header, the image alone is enough, as Google's AutoML writes it.
    """
    complete = len(cells) > max(*columns.box, columns.label) or not columns.header_rows
    label = cells[columns.label] if columns.label < len(cells) else ""
    return (
        complete
        and all(cell.lower() in _EMPTY_CELLS for cell in _box_cells(cells, columns))
        and label.lower().replace("_", " ") in _BACKGROUND_LABELS
    )


def parse_row(cells: Sequence[str], columns: Columns, line: int, decimal_comma: bool) -> LabelRow:
    """Return a row; raise IndexError or ValueError if it is invalid."""
    image, label = cells[columns.image], cells[columns.label]
    if not image or not label:
        raise ValueError("empty")
    texts = [cells[position] for position in columns.box]
    if len(texts) == 1:  # a cell such as "[1, 2, 3, 4]"
        texts, decimal_comma = re.split(r"[\s,;]+", texts[0].strip("[](){} ")), False
    first, second, third, fourth = (parse_number(text, decimal_comma) for text in texts)
    if columns.kind == "corners":
        box = (first, second, third, fourth)
    elif columns.kind == "corner and size":
        box = (first, second, first + third, second + fourth)
    else:
        box = (first - third / 2, second - fourth / 2, first + third / 2, second + fourth / 2)
    # Class ids become "1.0" in programs that store a column with gaps as decimals.
    return LabelRow(image, re.sub(r"(?<=\d)\.0+$", "", label), box, _stated_size(cells, columns), line)


def find_grouped_number(rows: Sequence[Sequence[str]], columns: Columns) -> str:
    """Return a number with separators of thousands, such as "1.300", or "".

    A point or comma separates thousands if three digits follow it everywhere, and other numbers of a row have three
    digits at most: a program that writes three decimals writes them in all numbers, or fewer in some.
    """
    if len(columns.box) == 1:
        return ""
    grouped: list[str] = []
    is_mixed = False
    for cells in rows[columns.header_rows :]:
        own = []
        texts = _box_cells(cells, columns)
        for text in texts:
            if match := _GROUPED.fullmatch(text):
                if not match["mark"]:
                    return text
                own.append(text)
            elif text and not re.fullmatch(r"\d{1,3}", text):
                return ""
        is_mixed |= 0 < len(own) < len(texts)
        grouped += own
    return grouped[0] if is_mixed and len(grouped) >= _MIN_GROUPED else ""


def _box_cells(cells: Sequence[str], columns: Columns) -> list[str]:
    return [cells[position] if position < len(cells) else "" for position in columns.box]


def _stated_size(cells: Sequence[str], columns: Columns) -> tuple[int, int] | None:
    """Return (height, width), or None: some tables have no such columns or leave them empty."""
    if columns.size is None:
        return None
    try:
        height, width = (float(cells[position]) for position in columns.size)
    except (IndexError, ValueError):
        return None
    return plausible_size(height, width)
