"""Rows of label tables: one object a row, its columns found by the names in the header.

The two tables in use name the same six things differently: the book's ``label.csv`` has
``img_name,label,xmin,ymin,xmax,ymax``, TensorFlow's Object Detection tutorials have
``filename,width,height,class,xmin,ymin,xmax,ymax``. Columns may come in any order, and others are ignored.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.dataset import Problem
from edge_ssd.data.formats.annotations import BoxAnnotation, ImageAnnotations, ImageIndex
from edge_ssd.errors import DataError

__all__ = ["LabelRow", "LabelTable", "class_names", "has_label_columns", "read_label_csv", "table_records"]

_COLUMNS = {
    "picture": ("img_name", "filename", "file_name", "image"),
    "label": ("label", "class", "class_name", "cell_type"),
    "xmin": ("xmin",),
    "ymin": ("ymin",),
    "xmax": ("xmax",),
    "ymax": ("ymax",),
}
_MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class LabelRow:
    """One row: ``label`` is text still, a name or a number; ``line`` counts from 1, the header being 1."""

    picture: str
    label: str
    box_xyxy: tuple[float, float, float, float]
    size: tuple[int, int] | None
    line: int


@dataclass(frozen=True)
class LabelTable:
    """A label table as read, and the rows of it that could not be."""

    path: Path
    rows: tuple[LabelRow, ...]
    problems: tuple[Problem, ...]


def has_label_columns(path: Path) -> bool:
    """Whether the file's first line names a picture, a label and four box sides."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader([file.readline(4096)]), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return not _missing(_positions(header))


def read_label_csv(path: Path) -> LabelTable:
    """Read a label table.

    Rows that are too short, or whose box is no four numbers, are left out and reported. Raises DataError where
    the file cannot be read at all, or its header lacks a column.
    """
    rows: list[LabelRow] = []
    problems: list[Problem] = []
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: larger than {_MAX_BYTES >> 20} MB: this is no label table")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            positions = _positions(next(reader, []))
            if missing := _missing(positions):
                raise DataError(
                    f"{path}: its first line must name the columns img_name,label,xmin,ymin,xmax,ymax "
                    f"(or filename and class); missing: {', '.join(missing)}"
                )
            for values in reader:
                if not values:
                    continue
                try:
                    rows.append(_row(values, positions, reader.line_num))
                except (IndexError, ValueError):
                    text = ",".join(values)[:80]
                    problems.append(
                        Problem(path, f"line {reader.line_num} is no picture, label and box: {text!r}; dropped")
                    )
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: no comma-separated UTF-8 text ({error}): export the labels again") from None
    return LabelTable(path, tuple(rows), tuple(problems))


def class_names(
    tables: Collection[LabelTable], stated: Sequence[str] | None, only_class: str | None
) -> tuple[tuple[str, ...], bool]:
    """The class names of tables, and whether the files state them (False: made up for bare numbers).

    Args:
        tables: all the tables of a data set.
        stated: the names in a ``classes.txt``, in the order of the numbers, or None.
        only_class: the name of class 0 where there is no other, or None.
    """
    labels = {row.label for table in tables for row in table.rows}
    if stated is not None:
        return tuple(stated), True
    if not all(_is_number(label) for label in labels):
        return tuple(sorted(labels)), True
    highest = max((int(label) for label in labels), default=0)
    if highest <= 0 and only_class is not None:
        return (only_class,), False
    if highest > 9999:
        where = next(table.path for table in tables if any(int(row.label) == highest for row in table.rows))
        raise DataError(f"{where}: class number {highest} is too high to be one of a list: number the classes from 0")
    return tuple(f"class_{number}" for number in range(max(highest, 0) + 1)), False


def table_records(
    table: LabelTable, names: Sequence[str], folders: tuple[ImageIndex, ...]
) -> tuple[tuple[ImageAnnotations, ...], tuple[Problem, ...]]:
    """Group a table's rows by picture, in the order in which pictures first occur.

    Rows of a class number below 0 are left out and reported. Raises DataError for a class that ``names`` lacks.
    """
    numbered = all(_is_number(row.label) for row in table.rows)
    index_of = {name: index for index, name in enumerate(names)}
    objects: dict[str, list[BoxAnnotation]] = {}
    sizes: dict[str, tuple[int, int] | None] = {}
    problems = list(table.problems)
    for row in table.rows:
        index = int(row.label) if numbered else index_of.get(row.label, len(names))
        if index < 0:
            problems.append(Problem(table.path, f"line {row.line}: class number {row.label} is below 0; dropped"))
            continue
        if index >= len(names):
            raise DataError(
                f"{table.path}: line {row.line}: unknown class {row.label!r}; the known ones are "
                f"{', '.join(names)}: correct the row or add the class to classes.txt"
            )
        objects.setdefault(row.picture, []).append(BoxAnnotation(index, row.box_xyxy, f"line {row.line}"))
        sizes.setdefault(row.picture, row.size)
    records = tuple(
        ImageAnnotations(table.path, picture, folders, tuple(found), stated_size=sizes[picture])
        for picture, found in objects.items()
    )
    return records, tuple(problems)


def _positions(header: Sequence[str]) -> dict[str, int]:
    """Where each column that we know stands in the header."""
    names = [name.strip().lower() for name in header]
    positions = {
        column: names.index(next(alias for alias in aliases if alias in names))
        for column, aliases in _COLUMNS.items()
        if any(alias in names for alias in aliases)
    }
    if "width" in names and "height" in names:
        positions |= {"width": names.index("width"), "height": names.index("height")}
    return positions


def _missing(positions: dict[str, int]) -> list[str]:
    return [column for column in _COLUMNS if column not in positions]


def _row(values: Sequence[str], positions: dict[str, int], line: int) -> LabelRow:
    """Raises IndexError or ValueError for a row that is none."""
    picture, label = values[positions["picture"]].strip(), values[positions["label"]].strip()
    if not picture or not label:
        raise ValueError("empty")
    xmin, ymin, xmax, ymax = (float(values[positions[side]]) for side in ("xmin", "ymin", "xmax", "ymax"))
    return LabelRow(picture, label, (xmin, ymin, xmax, ymax), _size(values, positions), line)


def _size(values: Sequence[str], positions: dict[str, int]) -> tuple[int, int] | None:
    """(height, width), or None: some tables have no such columns, or leave them empty."""
    try:
        height, width = (int(float(values[positions[side]])) for side in ("height", "width"))
    except (KeyError, IndexError, ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _is_number(label: str) -> bool:
    return re.fullmatch(r"-?\d{1,9}", label) is not None
