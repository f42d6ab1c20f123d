"""What a label format's reader hands over, before anything is checked against the pictures.

A reader (``d2l_csv``, ``coco``, ``yolo``, ``voc``, ``tf_csv``) turns label files into a :class:`ParsedDataset`;
``assemble``
finds the pictures, checks every box against its picture and makes the data set. So a format's module holds nothing
but what is particular to the format, and all formats report the same faults in the same words.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from edge_ssd.data.dataset import Problem

__all__ = [
    "PICTURE_SUFFIXES",
    "SPLITS",
    "BoxAnnotation",
    "ImageAnnotations",
    "ImageIndex",
    "ParsedDataset",
    "SplitAnnotations",
    "split_in_name",
    "split_of_name",
]

SPLITS = ("train", "val", "test")
_SPLIT_ENDINGS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})


class ImageIndex:
    """A folder of pictures, listed once: looking a name up touches no disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError:
            names = []
        self._names = frozenset(names)
        self._by_look = {_look(name): name for name in reversed(names)}
        self._by_stem: dict[str, str] = {}
        for name in reversed(names):
            path_name = PurePath(name)
            if path_name.suffix.lower() in PICTURE_SUFFIXES:
                self._by_stem[path_name.stem] = name

    def __len__(self) -> int:
        return len(self._names)

    def find(self, name: str) -> Path | None:
        """The picture of exactly this name; ``name`` may lie in a folder below, never above.

        A name that was written on another machine may have backslashes and begin anywhere: ``C:\\data\\images\\a.jpg``
        is ``images/a.jpg`` here if there is such a picture, else ``a.jpg``.
        """
        if name in self._names:
            return self.path / name
        parts = _parts(name)
        for start, first in enumerate(parts):
            path = self.path.joinpath(*parts[start:])
            if first in self._names and path.is_file():
                return path
        return None

    def find_stem(self, stem: str) -> Path | None:
        """The picture of this name without its suffix."""
        name = self._by_stem.get(stem)
        return None if name is None else self.path / name

    def find_alike(self, name: str) -> Path | None:
        """The picture whose name looks the same but for upper and lower case, or how its accents are stored."""
        parts = _parts(name)
        found = self._by_look.get(_look(parts[-1])) if parts else None
        return None if found is None else self.path / found

    def pictures(self) -> Iterable[str]:
        """The names that end as pictures do, sorted."""
        return sorted(name for name in self._names if PurePath(name).suffix.lower() in PICTURE_SUFFIXES)


def _parts(name: str) -> tuple[str, ...]:
    """The folders and the file of a path in any system's manner, without drive, root, "." and ".."."""
    parts = re.split(r"[/\\]+", re.sub(r"^[A-Za-z]:", "", name))
    return tuple(part for part in parts if part not in ("", ".", ".."))


def _look(name: str) -> str:
    # macOS stores é as e and an accent, everyone else as one letter.
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True)
class BoxAnnotation:
    """One labelled object as the label file states it, in pixels, or with ``Record.relative`` in 0–1 of the picture.

    ``where`` is its place in the file ("line 12").
    """

    class_index: int
    box_xyxy: tuple[float, float, float, float]
    where: str


@dataclass(frozen=True)
class ImageAnnotations:
    """One picture as the label file states it.

    Attributes:
        label_file: the file that says so.
        name: the picture's file name as stated there.
        folders: where the picture may lie, most likely first.
        objects: as stated, unchecked.
        stem: the picture's name without its suffix, where the format goes by that first.
        stated_size: (height, width) as stated, or None.
        relative: whether boxes are in 0–1 of the picture instead of pixels.
    """

    label_file: Path
    name: str
    folders: tuple[ImageIndex, ...]
    objects: tuple[BoxAnnotation, ...]
    stem: str | None = None
    stated_size: tuple[int, int] | None = None
    relative: bool = False


@dataclass(frozen=True)
class SplitAnnotations:
    """The records of one split.

    Attributes:
        problems: faults of the label files.
        fatal: why this split cannot be used at all, if so.
        notices: what was done with what is no fault, such as polygons that became boxes.
    """

    records: tuple[ImageAnnotations, ...]
    problems: tuple[Problem, ...] = ()
    fatal: str | None = None
    notices: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class ParsedDataset:
    """Everything a data set's label files say.

    Attributes:
        names: the class names that ``RawObject.class_index`` counts.
        parts: records by split ("train", "val", "test"); a set without splits has one part, "".
        names_stated: False where the files hold bare numbers, and ``names`` was made up for them.
    """

    names: tuple[str, ...]
    parts: Mapping[str, SplitAnnotations] = field(default_factory=dict)
    names_stated: bool = True


def split_of_name(name: str) -> str:
    """The split that a folder or file name ends in ("bananas_train" → "train"), or ""."""
    lower = name.lower()
    for ending, split in _SPLIT_ENDINGS.items():
        # "_train", "-train" or just "train": "constrain" is no training split.
        if lower == ending or (lower.endswith(ending) and not lower[-len(ending) - 1].isalnum()):
            return split
    return ""


def split_in_name(name: str) -> str:
    """The split among the words of a file's name ("instances_train2017" → "train"), or ""."""
    for word in re.split(r"[^a-z]+", name.lower()):
        if word in _SPLIT_ENDINGS:
            return _SPLIT_ENDINGS[word]
    return ""
