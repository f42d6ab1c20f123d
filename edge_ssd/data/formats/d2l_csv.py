"""The book's folders: ``label.csv`` beside a folder ``images``, once for each split.

    bananas/bananas_train/label.csv     img_name,label,xmin,ymin,xmax,ymax
    bananas/bananas_train/images/0.png
    bananas/bananas_val/label.csv …

Source: d2l, "The Object Detection Dataset". Names of folders need only end in train, val or test; a folder that has
``label.csv`` itself is a dataset without splits. Labels may be class names or class ids. Ids are named by
``classes.txt`` (one name per line); without it, the only class of a banana dataset is "banana" and those of other
datasets are "class_0", "class_1" …
"""

from __future__ import annotations

from pathlib import Path

from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.csv_table import BOOK_TABLE, has_label_columns, parse_tables, read_table
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.text_lines import read_class_names

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "the book's label.csv"
FILES = "beside a folder images"


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` for a ``label.csv`` with the columns of labels, ``LIKELY`` for another one, else ``NONE``."""
    tables = _tables(tree)
    if any(map(has_label_columns, tables)):
        return Match.SURE
    return Match.LIKELY if tables else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for an invalid ``label.csv`` or ``classes.txt``."""
    pairs, notices = select_label_files(tree, _tables(tree))
    folders = [path.parent for _, path in pairs]
    tables = [(split, read_table(path)) for split, path in pairs]
    is_banana_dataset = any(path.name.lower().startswith("banana") for path in (tree.root, *folders))
    stated_names = read_class_names(path / "classes.txt" for path in (tree.root, *folders, tree.root.parent))
    return parse_tables(tree.root, tables, stated_names, "banana" if is_banana_dataset else None, notices)


def _tables(tree: FileTree) -> list[Path]:
    return [path for path in tree.files(".csv") if path.name.lower() == BOOK_TABLE]
