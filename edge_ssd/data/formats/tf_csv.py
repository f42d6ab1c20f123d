"""Label tables of any tool: CSV, TSV or text, one object per row.

Such as ``train_labels.csv`` of TensorFlow's Object Detection tutorials, ``_annotations.csv`` of Roboflow, tables of
keras-retinanet and Google's AutoML, and those of spreadsheets: see :mod:`edge_ssd.data.label_files.table_columns`. A
column "split", or else the table's name or folder, states the split; without such tables, a single table is a dataset
without splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats import open_images
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.class_tables import read_class_table
from edge_ssd.data.label_files.csv_table import (
    BOOK_TABLE,
    LabelTable,
    has_class_ids,
    label_columns,
    parse_tables,
    read_table,
    table_files,
)
from edge_ssd.data.label_files.label_columns import UnclearColumns
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.text_lines import read_class_names

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "label table"
FILES = "*.csv with the columns filename, class, xmin, ymin, xmax, ymax"


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` for a table with the columns of labels, ``UNCLEAR`` for one that lacks some, else ``NONE``."""
    clear, unclear = _tables(tree)
    return Match.SURE if clear else Match.UNCLEAR if unclear else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for an invalid table."""
    clear, unclear = _tables(tree)
    for path in () if clear else unclear:
        read_table(path)  # raises why it is unclear
    pairs, notices = select_label_files(tree, clear)
    tables = [(split, read_table(path)) for split, path in pairs]
    stated_names = _stated_names(tree, [table for _, table in tables])
    return parse_tables(tree.root, tables, stated_names, notices=notices)


def _stated_names(tree: FileTree, tables: Sequence[LabelTable]) -> Sequence[str] | None:
    """Return the names of the class ids, or the order of the class names, if a file beside the tables states it."""
    names = read_class_table(tree.files(".csv"))
    if has_class_ids(tables):
        folders = dict.fromkeys((tree.root, *(table.path.parent for table in tables)))
        return names or read_class_names(folder / "classes.txt" for folder in folders)
    used = {row.label for table in tables for row in table.rows}
    return names if names is not None and used <= set(names) else None


def _tables(tree: FileTree) -> tuple[list[Path], list[Path]]:
    """Return the tables with all columns of labels, and those that lack some."""
    clear: list[Path] = []
    unclear: list[Path] = []
    for path in table_files(tree):
        if path.name.lower() == BOOK_TABLE:
            continue
        columns = label_columns(path)
        if isinstance(columns, UnclearColumns):
            unclear += [path] if columns.like_labels else []
        elif not open_images.is_table(path):
            clear.append(path)
    return clear, unclear
