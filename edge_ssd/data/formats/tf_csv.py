"""Label tables of TensorFlow's Object Detection tutorials: ``train_labels.csv``, ``test_labels.csv``.

Columns ``filename,width,height,class,xmin,ymin,xmax,ymax``, in any order. A table whose name starts with train, val or
test is that split's; without such tables, a single table is a dataset without splits. Tables are in the folder itself,
in ``data``, ``images``, ``annotations`` or ``labels``; images are in a folder named for the split, in ``images``, or
beside the table.
"""

from __future__ import annotations

from pathlib import Path

from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.image_index import ImageIndex
from edge_ssd.data.label_files.csv_table import BOOK_TABLE, annotate_table, class_names, has_label_columns, read_table
from edge_ssd.data.split_names import SPLITS

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "TensorFlow's CSV"
FILES = "train_labels.csv with a column filename"

_FOLDERS = ("", "data", "images", "annotations", "labels")


def sniff(folder: Path) -> Match:
    """Return ``SURE`` if ``folder`` has CSV label tables named for splits, or exactly one table, else ``NONE``."""
    return Match.SURE if _tables(folder) else Match.NONE


def parse(folder: Path) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for an invalid table."""
    tables = {split: read_table(path) for split, path in _tables(folder).items()}
    names, has_names = class_names(tables.values())
    splits = {
        split: annotate_table(table, names, _image_folders(folder, table.path, split))
        for split, table in tables.items()
    }
    return ParsedDataset(names, splits, has_names)


def _tables(folder: Path) -> dict[str, Path]:
    """Return the label tables by split."""
    paths = [
        path
        for name in _FOLDERS
        for path in sorted((folder / name).glob("*.csv"))
        if path.name != BOOK_TABLE and has_label_columns(path)
    ]
    by_split: dict[str, Path] = {}
    for path in paths:
        # "train_labels" and "train" are "train"; "training" is not.
        split = path.stem.lower().replace("-", "_").split("_")[0]
        if split in SPLITS:
            by_split.setdefault(split, path)
    if not by_split and len(paths) == 1:
        return {"": paths[0]}
    return by_split


def _image_folders(root: Path, table: Path, split: str) -> tuple[ImageIndex, ...]:
    """Return the folders that may have the images of a table, most likely first."""
    folders = [table.parent, table.parent / "images", root / "images", root]
    if split:
        folders = [path / split for path in folders] + folders
    return tuple(ImageIndex(path) for path in dict.fromkeys(folders) if path.is_dir())
