"""The label tables of TensorFlow's Object Detection tutorials: ``train_labels.csv``, ``test_labels.csv``.

Columns ``filename,width,height,class,xmin,ymin,xmax,ymax``, in any order. A file whose name begins with
train, val or test is that split's; where there is none of these, one other table is a set without splits.
Tables lie in the folder itself, in ``data``, ``images`` or ``annotations``; pictures in a folder of the split's
name, in ``images``, or beside the table.
"""

from __future__ import annotations

from pathlib import Path

from edge_ssd.data.formats.annotations import SPLITS, ImageIndex, ParsedDataset, SplitAnnotations
from edge_ssd.data.formats.d2l_csv import BOOK_TABLE
from edge_ssd.data.formats.label_csv import class_names, has_label_columns, read_label_csv, table_records

__all__ = ["parse", "sniff"]

_FOLDERS = ("", "data", "images", "annotations", "labels")


def sniff(folder: Path) -> bool:
    """Whether there are tables named for splits, or exactly one table."""
    return bool(_tables(folder))


def parse(folder: Path) -> ParsedDataset:
    """Read every split; raises DataError for a table that cannot be used."""
    paths = _tables(folder)
    tables = {split: read_label_csv(path) for split, path in paths.items()}
    names, names_stated = class_names(tables.values(), None, None)
    parts = {
        split: SplitAnnotations(*table_records(table, names, _picture_folders(folder, paths[split], split)))
        for split, table in tables.items()
    }
    return ParsedDataset(names, parts, names_stated)


def _tables(folder: Path) -> dict[str, Path]:
    paths = [
        path
        for name in _FOLDERS
        if (folder / name).is_dir()
        for path in sorted((folder / name).glob("*.csv"))
        if path.name != BOOK_TABLE and has_label_columns(path)
    ]
    by_split: dict[str, Path] = {}
    for path in paths:
        split = _split_of_file(path)
        if split:
            by_split.setdefault(split, path)
    if by_split:
        return by_split
    return {"": paths[0]} if len(paths) == 1 else {}


def _split_of_file(path: Path) -> str:
    """ "train_labels.csv" and "train.csv" are "train"; "training.csv" is not."""
    words = path.stem.lower().replace("-", "_").split("_")
    return words[0] if words[0] in SPLITS else ""


def _picture_folders(root: Path, table: Path, split: str) -> tuple[ImageIndex, ...]:
    candidates = [table.parent, table.parent / "images", root / "images", root]
    if split:
        candidates = [path / split for path in candidates] + candidates
    found = dict.fromkeys(path for path in candidates if path.is_dir())
    return tuple(ImageIndex(path) for path in found)
