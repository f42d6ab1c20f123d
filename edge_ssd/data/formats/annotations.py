"""Content of label files, before it is validated against the images.

A label format's ``parse`` returns a :class:`ParsedDataset`. Finding the images and checking the boxes is common to all
formats, see :mod:`edge_ssd.data.check_annotations`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from edge_ssd.data.dataset import Problem

__all__ = [
    "IMAGE_SUFFIXES",
    "SPLITS",
    "BoxAnnotation",
    "ImageAnnotations",
    "ImageIndex",
    "ParsedDataset",
    "SplitAnnotations",
    "split_from_suffix",
    "split_from_words",
]

SPLITS = ("train", "val", "test")
_SPLIT_OF_WORD = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})


class ImageIndex:
    """File names of a folder of images; the folder is listed once, a missing folder is empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError:
            names = []
        self._names = frozenset(names)
        # Reversed, so that of several names with the same key the first one is found.
        self._by_normalized_name = {_normalize(name): name for name in reversed(names)}
        self._by_stem = {PurePath(name).stem: name for name in reversed(names) if _is_image(name)}

    def find(self, name: str) -> Path | None:
        """Return the file of exactly this name, which may include folders below :attr:`path` but none above it.

        A path from another machine may have backslashes and start anywhere: ``C:\\data\\images\\a.jpg`` is
        ``images/a.jpg`` if that exists, else ``a.jpg``.
        """
        if name in self._names:
            return self.path / name
        parts = _path_parts(name)
        for start, first in enumerate(parts):
            path = self.path.joinpath(*parts[start:])
            if first in self._names and path.is_file():
                return path
        return None

    def find_stem(self, stem: str) -> Path | None:
        """Return the image file of this name without its suffix."""
        name = self._by_stem.get(stem)
        return None if name is None else self.path / name

    def find_similar(self, name: str) -> Path | None:
        """Return the file whose name differs in letter case or Unicode normalization only."""
        parts = _path_parts(name)
        match = self._by_normalized_name.get(_normalize(parts[-1])) if parts else None
        return None if match is None else self.path / match

    def image_names(self) -> list[str]:
        """Return the sorted names that have the suffix of an image."""
        return sorted(filter(_is_image, self._names))


def _is_image(name: str) -> bool:
    return PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def _path_parts(name: str) -> tuple[str, ...]:
    """Return the components of a POSIX or Windows path, without drive, root, "." and ".."."""
    parts = re.split(r"[/\\]+", re.sub(r"^[A-Za-z]:", "", name))
    return tuple(part for part in parts if part not in ("", ".", ".."))


def _normalize(name: str) -> str:
    # macOS stores é as e and a combining accent, other systems as one character.
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True)
class BoxAnnotation:
    """One labeled object.

    Attributes:
        class_index: index of ``ParsedDataset.class_names``.
        box_xyxy: unchecked corners in pixels, or in 0–1 of the image with ``ImageAnnotations.normalized``.
        location: where in the label file, such as "line 12".
    """

    class_index: int
    box_xyxy: tuple[float, float, float, float]
    location: str


@dataclass(frozen=True)
class ImageAnnotations:
    """One labeled image.

    Attributes:
        label_file: the file that holds the labels.
        file_name: the image's file name or path, as stated there.
        folders: where the image may be, most likely first.
        boxes: as stated, unchecked.
        stem: the image's name without its suffix, for a format that matches by stem first.
        stated_size: (height, width) as stated, or None.
        normalized: whether boxes are in 0–1 of the image instead of pixels.
    """

    label_file: Path
    file_name: str
    folders: tuple[ImageIndex, ...]
    boxes: tuple[BoxAnnotation, ...]
    stem: str | None = None
    stated_size: tuple[int, int] | None = None
    normalized: bool = False


@dataclass(frozen=True)
class SplitAnnotations:
    """The images of one split.

    Attributes:
        images: in the order of the label files.
        problems: faults of the label files.
        error: why this split cannot be used at all, or None.
        notices: facts that are no faults, such as polygons converted to boxes.
    """

    images: tuple[ImageAnnotations, ...]
    problems: tuple[Problem, ...] = ()
    error: str | None = None
    notices: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class ParsedDataset:
    """Content of all label files of a dataset.

    Attributes:
        class_names: indexed by ``BoxAnnotation.class_index``.
        splits: annotations by split ("train", "val", "test"); an undivided dataset has the single key "".
        has_class_names: False if the files hold bare class numbers, for which ``class_names`` is generated.
    """

    class_names: tuple[str, ...]
    splits: Mapping[str, SplitAnnotations] = field(default_factory=dict)
    has_class_names: bool = True


def split_from_suffix(name: str) -> str:
    """Return the split that a folder or file name ends in ("bananas_train" → "train"), or ""."""
    lower = name.lower()
    for word, split in _SPLIT_OF_WORD.items():
        # A whole word: "_train", "-train" or just "train", but not "constrain".
        if lower == word or (lower.endswith(word) and not lower[-len(word) - 1].isalnum()):
            return split
    return ""


def split_from_words(name: str) -> str:
    """Return the first split among the words of a file name ("instances_train2017" → "train"), or ""."""
    for word in re.split(r"[^a-z]+", name.lower()):
        if word in _SPLIT_OF_WORD:
            return _SPLIT_OF_WORD[word]
    return ""
