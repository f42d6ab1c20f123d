"""Label tables of TensorFlow's Object Detection tutorials: ``train_labels.csv``, ``test_labels.csv``.

Columns ``filename,width,height,class,xmin,ymin,xmax,ymax``, in any order. A table whose name or folder states a split
has that split's labels; without such tables, a single table is a dataset without splits.
"""

from __future__ import annotations

from pathlib import Path

from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.csv_table import BOOK_TABLE, annotate_table, class_names, has_label_columns, read_table
from edge_ssd.data.label_files.select_files import select_label_files

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "TensorFlow's CSV"
FILES = "train_labels.csv with a column filename"


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is a CSV file with the columns of labels, else ``NONE``."""
    return Match.SURE if _tables(tree) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for an invalid table."""
    pairs, notices = select_label_files(tree, _tables(tree))
    tables = [read_table(path) for _, path in pairs]
    names, has_names = class_names(tables)
    images = [
        image for (split, _), table in zip(pairs, tables, strict=True) for image in annotate_table(table, names, split)
    ]
    problems = tuple(problem for table in tables for problem in table.problems)
    return ParsedDataset(names, tuple(images), problems, tuple(notices), has_class_names=has_names)


def _tables(tree: FileTree) -> list[Path]:
    return [path for path in tree.files(".csv") if path.name.lower() != BOOK_TABLE and has_label_columns(path)]
