"""Dataset splits and how the names of folders and files state them."""

from __future__ import annotations

import functools
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

# Written in one word with the split: "trainset", "testimages", "valdata"; in German "Trainingsdaten".
_APPENDED = re.compile(r"s?(sets?|data|dataset|images?|imgs?|labels?|annotations?|lists?|split|satz|daten|bilder)$")
_OTHER_WORDS = {"validierung": "val"}  # German
# Words that also say what a folder is for: a "dev_board", an "eval_kit".
_UNCERTAIN = frozenset({"dev", "eval"})
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")  # between "train" and "Data"


@functools.lru_cache(maxsize=65536)
def split_from_words(name: str, uncertain: bool = True) -> str:
    """Return the split that the words of a name state ("instances_train2017" → "train"), or "".

    Words are separated by anything but letters, or by a capital letter: "constrain" states nothing, "trainData" and
    "testset" do. A name with "train" and "val" is that of the images to train with, as VOC's "trainval"; any other name
    with two splits states nothing.

    Args:
        uncertain: whether "dev" and "eval" count.
    """
    splits = set()
    for word in re.split(r"[^a-z]+", _CAMEL_CASE.sub(" ", name).lower()):
        for form in (word, _APPENDED.sub("", word)):
            split = SPLIT_OF_WORD.get(form) or _OTHER_WORDS.get(form, "")
            if split and (uncertain or word not in _UNCERTAIN):
                splits.add(split)
                break
    if splits == {"train", "val"}:
        return "train"
    return splits.pop() if len(splits) == 1 else ""


def split_from_folders(names: Iterable[str], uncertain: bool = True) -> str:
    """Return the split that the names of nested folders state, the innermost first, or ""."""
    return next(filter(None, (split_from_words(name, uncertain) for name in reversed(tuple(names)))), "")
