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
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.image_index import ImageIndex
from edge_ssd.data.label_files.csv_table import BOOK_TABLE, annotate_table, class_names, has_label_columns, read_table
from edge_ssd.data.label_files.text_lines import read_class_names
from edge_ssd.data.split_names import split_folders, split_from_suffix, unique_splits

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "the book's label.csv"
FILES = "beside a folder images"


def sniff(folder: Path) -> Match:
    """Return ``SURE`` if ``folder``, or a folder in it named for a split, has a ``label.csv``, else ``NONE``."""
    return Match.SURE if _split_folders(folder) else Match.NONE


def parse(folder: Path) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for an invalid ``label.csv`` or ``classes.txt``."""
    folders = _split_folders(folder)
    tables = {split: read_table(path / BOOK_TABLE) for split, path in folders.items()}
    is_banana_dataset = any(path.name.lower().startswith("banana") for path in (folder, *folders.values()))
    stated_names = read_class_names(path / "classes.txt" for path in (folder, *folders.values(), folder.parent))
    names, has_names = class_names(tables.values(), stated_names, "banana" if is_banana_dataset else None)
    splits = {}
    for split, path in folders.items():
        images = path / "images" if (path / "images").is_dir() else path
        splits[split] = annotate_table(tables[split], names, (ImageIndex(images),))
    return ParsedDataset(names, splits, has_names)


def _split_folders(folder: Path) -> dict[str, Path]:
    """Return the folders that have a ``label.csv``, by split."""
    if (folder / BOOK_TABLE).is_file() and has_label_columns(folder / BOOK_TABLE):
        return {split_from_suffix(folder.resolve().name): folder}
    return unique_splits(
        folder, ((split, path) for split, path in split_folders(folder) if (path / BOOK_TABLE).is_file())
    )
