"""Label tables: CSV files with one object per row, whose columns are identified by the header.

The order of columns is free; other columns are ignored.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.errors import DataError

__all__ = ["BOOK_TABLE", "LabelRow", "LabelTable", "annotate_table", "class_names", "has_label_columns", "read_table"]

BOOK_TABLE = "label.csv"
"""File name of the book's tables."""

# Column → its names in headers.
_COLUMNS = {
    "image": ("img_name", "filename", "file_name", "image"),
    "label": ("label", "class", "class_name", "cell_type"),
    **{name: (name,) for name in ("xmin", "ymin", "xmax", "ymax", "width", "height")},
}
_OPTIONAL_COLUMNS = ("width", "height")
_MAX_BYTES = 1 << 30
_MAX_CLASS_ID = 9999


@dataclass(frozen=True)
class LabelRow:
    """One row of a label table, as stated and unchecked."""

    image: str  # file name or path
    label: str  # class name or class id
    box_xyxy: tuple[float, float, float, float]  # in pixels
    size: tuple[int, int] | None  # (height, width) of the image, if stated
    line: int  # the header is line 1


@dataclass(frozen=True)
class LabelTable:
    """Content of a label table.

    Attributes:
        rows: the valid rows with a box.
        backgrounds: image of each row without a label and a box → line.
        faults: image of each other row → why it cannot be used.
        problems: the rows that name no image.
    """

    path: Path
    rows: tuple[LabelRow, ...]
    backgrounds: Mapping[str, int]
    faults: Mapping[str, str]
    problems: tuple[Problem, ...]


def has_label_columns(path: Path) -> bool:
    """Return whether the first line of a CSV file names columns for image, label, xmin, ymin, xmax and ymax."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader([file.readline(4096)]), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return not _missing_columns(_positions(header))


def read_table(path: Path) -> LabelTable:
    """Read a label table; raise DataError if it cannot be read or lacks a column.

    A row with an image and nothing else states a background image.
    """
    rows: list[LabelRow] = []
    backgrounds: dict[str, int] = {}
    faults: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: larger than {_MAX_BYTES >> 20} MB: not a label table")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            positions = _positions(next(reader, []))
            if missing := _missing_columns(positions):
                raise DataError(
                    f"{path}: its first line must name the columns img_name,label,xmin,ymin,xmax,ymax "
                    f"(or filename and class); missing: {', '.join(missing)}"
                )
            for values in reader:
                if not any(map(str.strip, values)):
                    continue
                image = values[positions["image"]].strip() if len(values) > positions["image"] else ""
                if image and _states_nothing(values, positions):
                    backgrounds[image] = reader.line_num
                    continue
                try:
                    rows.append(_parse_row(values, positions, reader.line_num))
                except (IndexError, ValueError):
                    text = ",".join(values)[:80]
                    fault = f"line {reader.line_num}: expected an image, a label and a box, got {text!r}"
                    if image:
                        faults.setdefault(image, fault)
                    else:
                        problems.append(Problem(path, f"{fault}; dropped"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not comma-separated UTF-8 text ({error}): export the labels again") from None
    return LabelTable(path, tuple(rows), backgrounds, faults, tuple(problems))


def class_names(
    tables: Collection[LabelTable], stated_names: Sequence[str] | None = None, only_class: str | None = None
) -> tuple[tuple[str, ...], bool]:
    """Return the class names of label tables, and whether the files state them (else they are generated).

    Args:
        stated_names: names of the class ids from a ``classes.txt``, or None. Too high ids raise DataError.
        only_class: name of class 0 if there is no other class and no name is stated; None for "class_0".
    """
    labels = {row.label for table in tables for row in table.rows}
    if stated_names is not None:
        return tuple(stated_names), True
    if not all(_is_class_id(label) for label in labels):
        return tuple(sorted(labels)), True
    highest = max((int(label) for label in labels), default=0)
    if highest <= 0 and only_class is not None:
        return (only_class,), False
    if highest > _MAX_CLASS_ID:
        path = next(table.path for table in tables if any(int(row.label) == highest for row in table.rows))
        raise DataError(f"{path}: class id {highest} exceeds {_MAX_CLASS_ID}: number the classes from 0")
    return tuple(f"class_{number}" for number in range(max(highest, 0) + 1)), False


def annotate_table(table: LabelTable, names: Sequence[str], split: str = "") -> list[ImageAnnotations]:
    """Group a table's rows by image; a class that is not in ``names`` raises DataError."""
    has_class_ids = all(_is_class_id(row.label) for row in table.rows)
    index_of = {name: index for index, name in enumerate(names)}
    boxes: dict[str, list[BoxAnnotation]] = {}
    sizes: dict[str, tuple[int, int] | None] = {}
    faults = dict(table.faults)
    for row in table.rows:
        index = int(row.label) if has_class_ids else index_of.get(row.label, len(names))
        own = boxes.setdefault(row.image, [])
        sizes.setdefault(row.image, row.size)
        if index < 0:
            faults.setdefault(row.image, f"line {row.line}: class id {row.label} is negative")
        elif index < len(names):
            own.append(BoxAnnotation(index, row.box_xyxy, f"line {row.line}"))
        else:
            raise DataError(
                f"{table.path}: line {row.line}: unknown class {row.label!r}; expected one of: "
                f"{', '.join(names)}: correct the row or add the class to classes.txt"
            )
    return [
        ImageAnnotations(
            table.path,
            image,
            tuple(boxes.get(image, ())),
            split,
            stated_size=sizes.get(image),
            fault=faults.get(image, ""),
        )
        for image in dict.fromkeys((*boxes, *table.backgrounds, *faults))
    ]


def _states_nothing(values: Sequence[str], positions: dict[str, int]) -> bool:
    """Return whether a row has neither a label nor a side of a box."""
    columns = ("label", "xmin", "ymin", "xmax", "ymax")
    return not any(values[positions[column]].strip() for column in columns if positions[column] < len(values))


def _positions(header: Sequence[str]) -> dict[str, int]:
    """Return the position of every known column in the header."""
    names = [name.strip().lower() for name in header]
    # Reversed, so that of several names of a column the first one is used.
    return {
        column: names.index(alias)
        for column, aliases in _COLUMNS.items()
        for alias in reversed(aliases)
        if alias in names
    }


def _missing_columns(positions: dict[str, int]) -> list[str]:
    return [column for column in _COLUMNS if column not in positions and column not in _OPTIONAL_COLUMNS]


def _parse_row(values: Sequence[str], positions: dict[str, int], line: int) -> LabelRow:
    """Return a row; raise IndexError or ValueError if it is invalid."""
    image, label = values[positions["image"]].strip(), values[positions["label"]].strip()
    if not image or not label:
        raise ValueError("empty")
    xmin, ymin, xmax, ymax = (float(values[positions[side]]) for side in ("xmin", "ymin", "xmax", "ymax"))
    return LabelRow(image, label, (xmin, ymin, xmax, ymax), _stated_size(values, positions), line)


def _stated_size(values: Sequence[str], positions: dict[str, int]) -> tuple[int, int] | None:
    """Return (height, width), or None: some tables have no such columns or leave them empty."""
    try:
        height, width = (int(float(values[positions[side]])) for side in ("height", "width"))
    except (KeyError, IndexError, ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


def _is_class_id(label: str) -> bool:
    return re.fullmatch(r"-?\d{1,9}", label) is not None
