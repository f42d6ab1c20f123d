"""The book's folders: ``label.csv`` beside a folder ``images``, once for each split.

    bananas/bananas_train/label.csv     img_name,label,xmin,ymin,xmax,ymax
    bananas/bananas_train/images/0.png
    bananas/bananas_val/label.csv …

Source: d2l, "The Object Detection Dataset". The folders' names need only end in train, val or test; a folder
that holds ``label.csv`` itself is a set without splits. Labels are class numbers: ``classes.txt`` (a name a
line) beside names them, else a set of bananas has the class "banana", else they are "class_0", "class_1" …
Labels that are names already are taken as they are.
"""

from __future__ import annotations

from pathlib import Path

from edge_ssd.data.formats.annotations import ImageIndex, ParsedDataset, SplitAnnotations, split_from_suffix
from edge_ssd.data.formats.label_csv import class_names, has_label_columns, read_label_csv, table_records
from edge_ssd.data.formats.names_file import read_class_names
from edge_ssd.errors import DataError

__all__ = ["BOOK_TABLE", "parse", "sniff"]

BOOK_TABLE = "label.csv"


def sniff(folder: Path) -> bool:
    """Whether ``folder``, or a folder in it that is named as a split, has a ``label.csv``."""
    return bool(_parts(folder))


def parse(folder: Path) -> ParsedDataset:
    """Read every split; raises DataError for a ``label.csv`` or ``classes.txt`` that cannot be used."""
    parts = _parts(folder)
    tables = {split: read_label_csv(path / BOOK_TABLE) for split, path in parts.items()}
    is_banana_set = any(path.name.lower().startswith("banana") for path in (folder, *parts.values()))
    stated = read_class_names(path / "classes.txt" for path in (folder, *parts.values(), folder.parent))
    names, names_stated = class_names(tables.values(), stated, "banana" if is_banana_set else None)
    read_parts = {}
    for split, path in parts.items():
        pictures = path / "images" if (path / "images").is_dir() else path
        read_parts[split] = SplitAnnotations(*table_records(tables[split], names, (ImageIndex(pictures),)))
    return ParsedDataset(names, read_parts, names_stated)


def _parts(folder: Path) -> dict[str, Path]:
    """The folders that have a ``label.csv``, by split."""
    if (folder / BOOK_TABLE).is_file() and has_label_columns(folder / BOOK_TABLE):
        return {split_from_suffix(folder.resolve().name): folder}
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        split = split_from_suffix(path.name)
        if split and (path / BOOK_TABLE).is_file():
            if split in found:
                raise DataError(
                    f"{folder}: both {found[split].name} and {path.name} hold {split} labels: "
                    "give each data set a folder of its own"
                )
            found[split] = path
    return found
