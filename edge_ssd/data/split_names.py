"""Dataset splits and how the names of folders and files state them."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["SPLITS", "SPLIT_OF_WORD", "split_from_folders", "split_from_words"]

SPLITS = ("train", "val", "test")
SPLIT_OF_WORD = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Word in the name of a folder or file, in lower case → split."""


def split_from_words(name: str) -> str:
    """Return the split that the words of a name state ("instances_train2017" → "train"), or "".

    Words are separated by anything but letters: "constrain" states nothing. A name with "train" and "val" is that of
    the images to train with, as VOC's "trainval"; any other name with two splits states nothing.
    """
    splits = {SPLIT_OF_WORD[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLIT_OF_WORD}
    if splits == {"train", "val"}:
        return "train"
    return splits.pop() if len(splits) == 1 else ""


def split_from_folders(names: Iterable[str]) -> str:
    """Return the split that the names of nested folders state, the innermost first, or ""."""
    return next(filter(None, map(split_from_words, reversed(tuple(names)))), "")
