"""Dataset splits and how the names of folders and files state them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from edge_ssd.errors import DataError

__all__ = ["SPLITS", "SPLIT_OF_WORD", "split_folders", "split_from_suffix", "split_from_words", "unique_splits"]

SPLITS = ("train", "val", "test")
SPLIT_OF_WORD = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def split_from_suffix(name: str) -> str:
    """Return the split that a folder or file name ends in ("bananas_train" → "train"), or ""."""
    lower = name.lower()
    for word, split in SPLIT_OF_WORD.items():
        # A whole word: "_train", "-train" or just "train", but not "constrain".
        if lower == word or (lower.endswith(word) and not lower[-len(word) - 1].isalnum()):
            return split
    return ""


def split_from_words(name: str) -> str:
    """Return the first split among the words of a file name ("instances_train2017" → "train"), or ""."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_OF_WORD[word] for word in words if word in SPLIT_OF_WORD), "")


def split_folders(folder: Path) -> list[tuple[str, Path]]:
    """Return (split, path) of the folders in ``folder`` whose names end in a split, sorted by path."""
    paths = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [(split, path) for path in paths if (split := split_from_suffix(path.name))]


def unique_splits(folder: Path, paths: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Return (split, path) pairs as a mapping; raise DataError, which names ``folder``, if a split occurs twice."""
    path_of: dict[str, Path] = {}
    for split, path in paths:
        other = path_of.setdefault(split, path)
        if other != path:
            raise DataError(
                f"{folder}: both {other.name} and {path.name} hold {split} labels: "
                "give each dataset a folder of its own"
            )
    return path_of
