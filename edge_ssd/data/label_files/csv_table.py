"""Label tables: text tables with one object per row.

The columns are those of :mod:`edge_ssd.data.label_files.table_columns`, in any order; others are ignored. A row with an
image and empty cells states a background image. A row that ends before them is cut off.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.class_ids import count_from_one
from edge_ssd.data.label_files.ignored_regions import ignored_kind, report_ignored_regions
from edge_ssd.data.label_files.label_columns import BoxKind, Columns, UnclearColumns
from edge_ssd.data.label_files.label_rows import (
    LabelRow,
    find_grouped_number,
    image_of_row,
    parse_row,
    states_nothing,
)
from edge_ssd.data.label_files.table_columns import find_columns, find_later_header
from edge_ssd.data.label_files.text_table import TextTable, sniff_rows
from edge_ssd.errors import DataError

__all__ = [
    "BOOK_TABLE",
    "LabelTable",
    "has_class_ids",
    "has_label_columns",
    "label_columns",
    "parse_tables",
    "read_table",
    "table_files",
]

BOOK_TABLE = "label.csv"
"""File name of the book's tables."""

_MAX_CLASS_ID = 9999
_MAX_NAMES = 20  # in a message
_LAYOUTS: dict[BoxKind, str] = {"corners": "xyxy", "corner and size": "xywh", "center and size": "cxcywh"}
# A folder with more files than this has one for each image.
_MAX_FILES = {".txt": 20, ".csv": 500, ".tsv": 500}


@dataclass(frozen=True)
class LabelTable:
    """Content of a label table.

    Attributes:
        rows: the valid rows with a box.
        backgrounds: image of each row without a label and a box → line.
        faults: image of each other row → why it cannot be used.
        splits: image → split that its rows state.
        problems: the rows that name no image.
        notices: how the columns were read, where the table does not state it.
        kind: what the four numbers of a box are.
        normalized: whether boxes are in 0–1 of the image.
    """

    path: Path
    rows: tuple[LabelRow, ...]
    backgrounds: Mapping[str, int]
    faults: Mapping[str, str]
    splits: Mapping[str, str]
    problems: tuple[Problem, ...]
    notices: tuple[Problem, ...]
    kind: BoxKind
    normalized: bool


def table_files(tree: FileTree) -> list[Path]:
    """Return the files that may be tables. Those of a folder that has one for each image are none."""
    folders: dict[tuple[Path, str], list[Path]] = {}
    for path in tree.files(*_MAX_FILES):
        folders.setdefault((path.parent, path.suffix.lower()), []).append(path)
    return [path for (_, suffix), paths in folders.items() if len(paths) <= _MAX_FILES[suffix] for path in paths]


def label_columns(path: Path) -> Columns | UnclearColumns:
    """Return the columns for an image, its class and the sides of a box, by the first rows of a file."""
    return find_columns(sniff_rows(path))


def has_label_columns(path: Path) -> bool:
    """Return whether a file is a table with all of these columns."""
    return isinstance(label_columns(path), Columns)


def read_table(path: Path) -> LabelTable:
    """Read a label table; raise DataError if it cannot be read or lacks a column."""
    table = TextTable(path)
    columns = find_columns(table.head)
    if isinstance(columns, UnclearColumns):
        for _ in table.rows():  # text that cannot be decoded is the better explanation
            pass
        raise DataError(f"{path}: {columns.reason}")
    if number := find_grouped_number(table.head, columns):
        digits = re.sub(r"\D", "", number)
        raise DataError(f"{path}: numbers with separators of thousands, such as {number!r}: write them as {digits}")
    rows: list[LabelRow] = []
    backgrounds: dict[str, int] = {}
    faults: dict[str, str] = {}
    splits: dict[str, str] = {}
    problems: list[Problem] = []
    decimal_comma = table.separator != ","
    lines = itertools.islice(table.rows(), columns.header_rows, None)
    previous = ""
    ignored: Counter[str] = Counter()
    only_ignored: set[str] = set()
    for line, cells in lines:
        image = image_of_row(cells, columns)
        if columns.header_rows and "." not in image and (header := find_later_header(cells)) is not None:
            if (header.image, header.box, header.kind) == (columns.image, columns.box, columns.kind):
                continue
            raise DataError(f"{path}: line {line}: another header than above: write each table to a file of its own")
        if not image and previous:  # its box may be one of the image above
            faults.setdefault(previous, f"line {line}: a row without an image: fill down merged cells")
            continue
        previous = image
        if image and columns.split is not None:
            try:
                split = columns.split.split_of(cells)
                if splits.setdefault(image, split) != split:
                    raise ValueError("another split than in an earlier row of this image")
            except ValueError as error:
                faults.setdefault(image, f"line {line}: {error}")
        kind = next((kind for kind in _ignored_kinds(cells, columns) if kind), "")
        if kind:
            ignored[kind] += 1
            only_ignored.add(image)
            continue
        if image and states_nothing(cells, columns):
            backgrounds[image] = line
            continue
        surplus = table.surplus(cells, columns.header_rows)
        try:
            rows.append(parse_row([] if surplus else cells, columns, line, decimal_comma))
        except (IndexError, ValueError):
            text = table.separator.join(cells)[:80]
            fault = f"line {line}: {surplus or 'expected an image, a label and a box'}, got {text!r}"
            if image:
                faults.setdefault(image, fault)
            else:
                problems.append(Problem(path, f"{fault}; dropped"))
    doubt = "boxes" if columns.doubtful_box else ""
    only_ignored -= {*(row.image for row in rows), *backgrounds, *faults}
    notices = [Problem(path, columns.notice, doubt=doubt)] if columns.notice else []
    notices += report_ignored_regions(path, ignored, len(only_ignored))
    return LabelTable(
        path,
        tuple(rows),
        backgrounds,
        faults,
        splits,
        tuple(problems),
        tuple(notices),
        columns.kind,
        columns.normalized,
    )


def parse_tables(
    root: Path,
    pairs: Sequence[tuple[str, LabelTable]],
    stated_names: Sequence[str] | None = None,
    only_class: str | None = None,
    notices: Iterable[Problem] = (),
) -> ParsedDataset:
    """Return the annotations of tables, each with the split of the images whose rows state none.

    Args:
        stated_names: names of the class ids from a ``classes.txt``, or None.
        only_class: name of class 0 if there is no other class and no name is stated; None for "class_0".
        notices: facts about the choice of the tables.

    Raises:
        DataError: most classes of a table are not in ``stated_names``.
    """
    tables = [table for _, table in pairs]
    names, has_names = _class_names(tables, stated_names, only_class)
    problems = [problem for table in tables for problem in table.problems]
    message = ""
    if stated_names is not None and all(has_class_ids([table], stated_names) for table in tables):
        labels = {row.label for table in tables for row in table.rows}
        message = count_from_one({int(label) for label in labels if _is_class_id(label)}, names)
        problems += [Problem(tables[0].path if len(tables) == 1 else root, message)] if message else []
    images = [image for split, table in pairs for image in _annotate(table, names, split, first_id=bool(message))]
    notices = [*notices, *(notice for table in tables for notice in table.notices)]
    kinds = {table.kind for table in tables}
    layout = _LAYOUTS[kinds.pop()] if len(kinds) == 1 else "xyxy"
    return ParsedDataset(
        names, tuple(images), tuple(problems), tuple(notices), has_class_names=has_names, box_layout=layout
    )


def _class_names(
    tables: Collection[LabelTable], stated_names: Sequence[str] | None, only_class: str | None
) -> tuple[tuple[str, ...], bool]:
    """Return the class names of label tables, and whether the files state them (else they are generated)."""
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


def has_class_ids(tables: Iterable[LabelTable], names: Collection[str] = ()) -> bool:
    """Return whether all labels are class ids, or most of them with some that are mistyped.

    Numbers among other labels are class names if ``names`` has them all, or is not stated: as of the characters of
    license plates.
    """
    labels = Counter(row.label for table in tables for row in table.rows)
    ids = {label for label in labels if _is_class_id(label)}
    if len(ids) == len(labels):
        return True
    is_stated = bool(names) and not ids.issubset(names)
    return is_stated and sum(labels[label] for label in ids) > labels.total() / 2


def _annotate(table: LabelTable, names: Sequence[str], split: str, first_id: int) -> list[ImageAnnotations]:
    """Group a table's rows by image; an image with a class that is not in ``names`` gets a fault.

    Args:
        split: of the images whose rows state none.
        first_id: class id of the first name.

    Raises:
        DataError: most rows have such a class: the names are those of another dataset.
    """
    has_ids = has_class_ids([table], names)
    index_of = {name: index for index, name in enumerate(names)}
    boxes: dict[str, list[BoxAnnotation]] = {}
    sizes: dict[str, tuple[int, int] | None] = {}
    faults = dict(table.faults)
    unknown: list[str] = []
    for row in table.rows:
        is_id = has_ids and _is_class_id(row.label)
        index = int(row.label) - first_id if is_id else index_of.get(row.label, len(names))
        own = boxes.setdefault(row.image, [])
        sizes.setdefault(row.image, row.size)
        if index < 0:
            faults.setdefault(row.image, f"line {row.line}: class id {row.label} is negative")
        elif index < len(names):
            own.append(BoxAnnotation(index, row.box_xyxy, f"line {row.line}"))
        else:
            expected = f"{', '.join(names[:_MAX_NAMES])}{' …' if len(names) > _MAX_NAMES else ''}"
            added = "" if has_ids and not is_id else " or add the class to classes.txt"
            unknown.append(
                f"line {row.line}: unknown class {row.label!r}; expected one of: {expected}: correct the row{added}"
            )
            faults.setdefault(row.image, unknown[-1])
    if len(unknown) > len(table.rows) / 2:
        raise DataError(f"{table.path}: {unknown[0]}")
    return [
        ImageAnnotations(
            table.path,
            image,
            tuple(boxes.get(image, ())),
            table.splits.get(image) or split,
            stated_size=sizes.get(image),
            normalized=table.normalized,
            fault=faults.get(image, ""),
        )
        for image in dict.fromkeys((*boxes, *table.backgrounds, *faults))
    ]


def _ignored_kinds(cells: Sequence[str], columns: Columns) -> Iterator[str]:
    return (ignored_kind(name, cells[position]) for position, name in columns.ignored if position < len(cells))


def _is_class_id(label: str) -> bool:
    return re.fullmatch(r"-?\d{1,9}", label) is not None
