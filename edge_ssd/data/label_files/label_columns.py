"""What the columns of a label table are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from edge_ssd.data.label_files.split_columns import SplitColumns
from edge_ssd.runtime.image_file import IMAGE_SUFFIXES

__all__ = ["NO_CLASS", "BoxKind", "Columns", "UnclearColumns", "header_key", "is_image_name"]

BoxKind = Literal["corners", "corner and size", "center and size"]

NO_CLASS = "no column states the class: add a column called class (for a single class, with its name in every row)"
"""Reason of :class:`UnclearColumns`."""


@dataclass(frozen=True)
class Columns:
    """Positions of the columns of a label table.

    Attributes:
        box: positions of four numbers, or of a single cell that holds them.
        kind: what the four numbers are.
        size: positions of the image's height and width, if there are such columns.
        split: the columns that state the split, if there are any.
        normalized: whether boxes are in 0–1 of the image.
        header_rows: number of rows before the first object: a header, perhaps after a title, or none.
        notice: how the columns were read, if the header does not state all of it.
        ignored: position and name of each column that marks rows to be ignored.
        doubtful_box: whether the header leaves open what the numbers of a box are.
    """

    image: int
    label: int
    box: tuple[int, ...]
    kind: BoxKind = "corners"
    size: tuple[int, int] | None = None
    split: SplitColumns | None = None
    normalized: bool = False
    header_rows: int = 1
    notice: str = ""
    ignored: tuple[tuple[int, str], ...] = ()
    doubtful_box: bool = False


@dataclass(frozen=True)
class UnclearColumns:
    """Why the columns of a table are unknown, and whether it seems to hold labels nevertheless."""

    reason: str
    like_labels: bool


def header_key(name: str) -> str:
    """Return a name in a header as it is compared: "Image Name" and "image_name" are "imagename"."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def is_image_name(cell: str) -> bool:
    """Return whether a cell is the name, path or address of an image."""
    name = re.sub(r"[?#].*$", "", cell).replace("\\", "/")
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
