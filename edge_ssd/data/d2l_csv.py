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

from edge_ssd.data.label_csv import class_names, has_label_columns, read_label_csv, table_records
from edge_ssd.data.records import Part, PictureFolder, Reading, split_of_name
from edge_ssd.errors import DataError

__all__ = ["read", "recognises"]

_TABLE = "label.csv"


def recognises(folder: Path) -> bool:
    """Whether ``folder``, or a folder in it that is named as a split, has a ``label.csv``."""
    return bool(_parts(folder))


def read(folder: Path) -> Reading:
    """Read every split; raises DataError for a ``label.csv`` or ``classes.txt`` that cannot be used."""
    parts = _parts(folder)
    tables = {split: read_label_csv(path / _TABLE) for split, path in parts.items()}
    is_banana_set = any(path.name.lower().startswith("banana") for path in (folder, *parts.values()))
    stated = _stated_names([folder, *parts.values(), folder.parent])
    names, names_stated = class_names(tables.values(), stated, "banana" if is_banana_set else None)
    read_parts = {}
    for split, path in parts.items():
        pictures = path / "images" if (path / "images").is_dir() else path
        read_parts[split] = Part(*table_records(tables[split], names, (PictureFolder(pictures),)))
    return Reading(names, read_parts, names_stated)


def _parts(folder: Path) -> dict[str, Path]:
    """The folders that have a ``label.csv``, by split."""
    if (folder / _TABLE).is_file() and has_label_columns(folder / _TABLE):
        return {split_of_name(folder.resolve().name): folder}
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        split = split_of_name(path.name)
        if split and (path / _TABLE).is_file():
            if split in found:
                raise DataError(
                    f"{folder}: both {found[split].name} and {path.name} hold {split} labels: "
                    "give each data set a folder of its own"
                )
            found[split] = path
    return found


def _stated_names(folders: list[Path]) -> list[str] | None:
    """The names in the first ``classes.txt`` found."""
    for path in (folder / "classes.txt" for folder in folders):
        if path.is_file():
            try:
                names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
            except (OSError, UnicodeDecodeError) as error:
                raise DataError(f"{path}: cannot be read ({error}): write one class name a line, UTF-8") from None
            if not names or len(set(names)) != len(names):
                raise DataError(f"{path}: must hold class names, one a line and each once, got {names!r}")
            return names
    return None
