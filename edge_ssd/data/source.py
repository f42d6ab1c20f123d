"""A data set as a user names it: a folder, and what to take of it. The options that say so on every command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ssd.data.classes import parse_classes
from edge_ssd.errors import SettingError

__all__ = ["FORMATS", "DataSource", "add_data_options", "data_source"]

# Name → what a person calls it, in the order in which they are looked for.
FORMATS = {
    "d2l_csv": "the book's label.csv",
    "coco": "COCO JSON",
    "yolo": "YOLO",
    "voc": "Pascal VOC",
    "tf_csv": "TensorFlow's CSV",
}


@dataclass(frozen=True)
class DataSource(os.PathLike[str]):
    """A folder of labelled pictures, and what to take of it.

    It is a path, and is taken wherever the folder alone would be: :func:`edge_ssd.data.load.load_dataset` then reads
    it in this way.

    Attributes:
        format: one of :data:`FORMATS`; None to recognise it.
        classes: as :mod:`edge_ssd.data.classes` describes; None for all as they are.

    Raises SettingError for an unknown format, or classes that cannot be read.
    """

    folder: Path
    format: str | None = None
    classes: str | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise SettingError(f"there is no format {self.format!r}: choose from {', '.join(FORMATS)}")
        if self.classes is not None:
            parse_classes(self.classes)

    def __fspath__(self) -> str:
        return os.fspath(self.folder)

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def options(self) -> tuple[str, ...]:
        """The command-line options that say the same, without the folder's."""
        given = (("--format", self.format), ("--classes", self.classes))
        return tuple(part for option, value in given if value is not None for part in (option, value))

    @classmethod
    def of(cls, folder: str | os.PathLike[str]) -> DataSource:
        """``folder`` itself if it is a source already."""
        return folder if isinstance(folder, cls) else cls(Path(folder))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, for :meth:`from_dict`."""
        return {"folder": str(self.folder), "format": self.format, "classes": self.classes}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DataSource:
        return cls(Path(data["folder"]), data["format"], data["classes"])


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Declare ``--format`` and ``--classes``, which say how the data set is to be read."""
    parser.add_argument(
        "--format", choices=tuple(FORMATS), help="of the labels, where a folder has several (default: recognised)"
    )
    parser.add_argument(
        "--classes",
        metavar="LIST",
        help="take these classes only, with commas between; OLD=NEW renames, * is all others (default: all)",
    )


def data_source(args: argparse.Namespace, folder: Path | None = None) -> DataSource:
    """The data set that a command line names: ``folder`` (default: ``--data``) with the options above."""
    return DataSource(args.data if folder is None else folder, args.format, args.classes)
