"""Columns of a label table without a header, where the cells leave no doubt.

a.jpg,10,20,30,40,cat                               keras-retinanet
TRAIN,gs://x/a.jpg,cat,0.1,0.2,,,0.3,0.4,,          Google's AutoML, in 0–1
cat,10,20,20,20,a.jpg,640,480                       makesense.ai: top-left corner and size
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from edge_ssd.data.label_files.label_columns import NO_CLASS, Columns, UnclearColumns, is_image_name
from edge_ssd.data.label_files.split_columns import SplitColumns
from edge_ssd.data.label_files.text_table import is_number

__all__ = ["find_without_header"]

# A header is needed unless so many of the boxes have the second corner below and right of the first.
_MIN_VALID = 0.9
_AUTOML = "it has no header; read as a table of Google's AutoML (set, path, label, corners in 0–1)"
_NO_HEADER = "it has no header; its columns are read as "
# One letter for each column: (i)mage, (n)umbers, (t)ext, (e)mpty.
_LAYOUTS = [
    (
        re.compile("innnn[te]"),
        Columns(0, 5, (1, 2, 3, 4), header_rows=0, notice=f"{_NO_HEADER}image, xmin, ymin, xmax, ymax, class"),
    ),
    (
        re.compile("itnnnn"),
        Columns(0, 1, (2, 3, 4, 5), header_rows=0, notice=f"{_NO_HEADER}image, class, xmin, ymin, xmax, ymax"),
    ),
    (
        re.compile("inntnnnn"),
        Columns(
            0,
            3,
            (4, 5, 6, 7),
            size=(2, 1),
            header_rows=0,
            notice=f"{_NO_HEADER}image, width, height, class, xmin, ymin, xmax, ymax",
        ),
    ),
    (
        re.compile("[tn]nnnninn"),
        Columns(
            5,
            0,
            (1, 2, 3, 4),
            "corner and size",
            size=(7, 6),
            header_rows=0,
            notice=f"{_NO_HEADER}class, x, y, width, height, image, image width, image height",
        ),
    ),
    (
        re.compile("ti[tn]nn(ee|nn)nn(ee|nn)?"),
        Columns(1, 2, (3, 4, 7, 8), split=SplitColumns(0), normalized=True, header_rows=0, notice=_AUTOML),
    ),
    (
        re.compile("i[tn]nn(ee|nn)nn(ee|nn)?"),
        Columns(0, 1, (2, 3, 6, 7), normalized=True, header_rows=0, notice=_AUTOML),
    ),
]
# With class ids, the place of the class is not clear from the cells, but from the corners.
_NUMBERED_LAYOUTS = [_LAYOUTS[0][1], _LAYOUTS[1][1]]


def find_without_header(rows: Sequence[Sequence[str]]) -> Columns | UnclearColumns:
    """Return the columns of a table by the cells of its first rows, or why they are unknown."""
    length = max(map(len, rows))
    rows = [[*row, *[""] * (length - len(row))] for row in rows]
    kinds = "".join(_kind_of_column([row[column] for row in rows]) for column in range(length))
    for pattern, columns in _LAYOUTS:
        if pattern.fullmatch(kinds) and _fits(rows, columns):
            return columns
    numbered = [columns for columns in _NUMBERED_LAYOUTS if kinds == "innnnn" and _fits(rows, columns)]
    if len(numbered) == 1:
        return numbered[0]
    if kinds == "innnn":
        return UnclearColumns(NO_CLASS, like_labels=True)
    reason = (
        "it has no header, and its columns are not clear without one: add a first line such as "
        "filename,xmin,ymin,xmax,ymax,class"
    )
    return UnclearColumns(reason, like_labels=kinds.count("i") == 1 and kinds.count("n") >= 4)


def _kind_of_column(cells: Sequence[str]) -> str:
    filled = [cell for cell in cells if cell]
    if not filled:
        return "e"
    if all(map(is_number, filled)):
        return "n"
    return "i" if len(filled) == len(cells) and all(map(is_image_name, filled)) else "t"


def _fits(rows: Sequence[Sequence[str]], columns: Columns) -> bool:
    """Return whether the cells agree with the columns in most rows: order of corners, 0–1, class ids, splits."""
    valid = total = 0
    for row in rows:
        try:
            if columns.split is not None:
                columns.split.split_of(row)
        except ValueError:
            return False
        try:
            first_x, first_y, second_x, second_y = (float(row[position].replace(",", ".")) for position in columns.box)
        except ValueError:  # background, or a row that cannot be read
            continue
        total += 1
        ordered = columns.kind != "corners" or (first_x < second_x and first_y < second_y)
        in_range = not columns.normalized or 0 <= min(first_x, first_y) <= max(second_x, second_y) <= 1.01
        label = row[columns.label]
        valid += ordered and in_range and (not is_number(label) or label.isdecimal())
    return total > 0 and valid >= _MIN_VALID * total
