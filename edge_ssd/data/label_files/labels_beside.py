"""Search for the labels of a folder of images in the folder above it, for an error message."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from edge_ssd.data.file_tree import FileTree

__all__ = ["describe_labels_above"]

_FOLDER = re.compile(r"labels?|annotations?|annots?|annos?|xmls?", re.IGNORECASE)
_FILE = re.compile(r"label|annot|bbox|boxes|instances|coco|^data\.ya?ml$", re.IGNORECASE)
_SUFFIXES = frozenset({".csv", ".tsv", ".json", ".txt", ".xml", ".yaml", ".yml"})
_MAX_ENTRIES = 10_000


def describe_labels_above(tree: FileTree) -> str:
    """Return "its labels may be in set (label.csv): name that folder" if the names above ``tree`` are so, or "".

    Names of labels, and those of the images with the suffix of a label file, count.
    """
    images = {path.stem for path in tree.images()}
    if not images:
        return ""
    root = tree.root
    above = root.parent if root.name not in ("", "..") else root.resolve().parent
    try:
        with os.scandir(above) as listing:
            names = sorted(entry.name for entry in itertools.islice(listing, _MAX_ENTRIES))
    except OSError:
        return ""
    for name in names:
        path = Path(name)
        is_file = path.suffix.lower() in _SUFFIXES and not name.startswith(".")
        if (is_file and (_FILE.search(name) or path.stem in images)) or _FOLDER.fullmatch(name):
            where = "the folder above" if above in (Path(), Path("..")) else str(above)
            return f"its labels may be in {where} ({name}): name that folder"
    return ""
