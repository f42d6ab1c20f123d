"""Columns that a label table has beyond those of one box and its class."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_ssd.data.label_files.text_table import is_number

__all__ = ["find_further_box", "find_status_column", "find_varied_column"]

# Columns that may say that a row is no label.
_STATUS = frozenset(
    (
        *("status", "state", "review", "reviewed", "reviewstatus", "verified", "approved", "accepted", "rejected"),
        *("valid", "qa", "quality", "flag"),
    )
)
# Labels that say that there is an object, not of which class.
_GENERIC_LABELS = frozenset({"object", "obj", "item", "thing", "target", "box", "bbox", "rect", "rectangle", "label"})


def find_further_box(names: Sequence[str], box: Sequence[int]) -> str:
    """Return a column of a second box or of further corners ("xmin2", "x3", or a name that is repeated), or "".

    Args:
        names: the header, in lower case.
        box: positions of the box that is read.
    """
    columns = [names[position] for position in box]
    if all(names.count(name) > 1 for name in columns):
        return columns[0]
    for digit in "123456789":
        if all(name + digit in names for name in columns):
            return columns[0] + digit
    if len(columns) == 4 and re.search(r"x2$", columns[2]):
        corner = columns[2][:-1] + "3", columns[3][:-1] + "3"
        return corner[0] if set(corner) <= set(names) else ""
    return ""


def find_status_column(
    header: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[str]], used: Sequence[int]
) -> str:
    """Return a notice of a column that may say which rows are no labels, such as "status" with "rejected", or "".

    Args:
        header, names: the header as stated, and in lower case without other signs.
        used: positions of the columns that are read.
    """
    for position, name in enumerate(names):
        values = _values(rows, position)
        if name in _STATUS and position not in used and 1 < len(values) <= len(rows) / 2:
            shown = ", ".join(repr(value) for value in sorted(values)[:3])
            return f"column {header[position]!r} ({shown}) is not read: remove the rows that are to be left out"
    return ""


def find_varied_column(rows: Sequence[Sequence[str]], label: int, others: Sequence[int]) -> int | None:
    """Return the first of ``others`` that has names of several classes, if all of column ``label`` is "object"."""
    labels = _values(rows, label)
    if len(labels) != 1 or next(iter(labels)).lower() not in _GENERIC_LABELS:
        return None
    for position in others:
        values = _values(rows, position)
        if 1 < len(values) <= len(rows) / 2 and not any(map(is_number, values)):
            return position
    return None


def _values(rows: Sequence[Sequence[str]], position: int) -> set[str]:
    return {row[position] for row in rows if position < len(row)} - {""}
