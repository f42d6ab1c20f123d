"""Text files that name the class ids of YOLO label files: ``classes.txt`` and files of other tools.

A dataset mostly has one. Exports of several tasks have one each, in the folder of their label files or above it, and
may number the classes differently: then the ids of a label file are those of the nearest file.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.text_lines import read_class_names
from edge_ssd.errors import DataError

__all__ = ["YoloClassFiles"]

_NAMES = frozenset({"classes.txt", "labels.txt", "class_names.txt", "classnames.txt", "_darknet.labels"})


class YoloClassFiles:
    """The files of class names of a dataset.

    Attributes:
        names: all class names, in the order of the first file that has them; empty if there is no file.
        notices: how files that contradict each other are used.

    Raises:
        DataError: the first file has something else than class names, or two in one folder contradict each other.
    """

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree
        self._names_of: dict[Path, list[str]] = {}  # file → names by id
        self._read(_find_files(tree))
        self._contradiction = _find_contradiction(tree, self._names_of)
        lists = list(self._names_of.values())
        if not self._contradiction:  # one of the files may name more classes than the others
            lists = [max(lists, key=len, default=[])]
        self.names = list(dict.fromkeys(itertools.chain.from_iterable(lists)))
        self.notices: list[Problem] = []
        if self._contradiction:
            message = f"{self._contradiction}: each is used for the labels beside it"
            self.notices.append(Problem(tree.root, message, doubt="files"))

    def names_of(self, label_file: Path) -> Mapping[int, str]:
        """Return class id → name for the boxes of a label file.

        Raises DataError if files contradict each other and none of them is in its folder or above it.
        """
        if not self._contradiction:
            return dict(enumerate(self.names))
        for folder in label_file.parents:
            own = sorted((names for path, names in self._names_of.items() if path.parent == folder), key=len)
            if own:
                return dict(enumerate(own[-1]))
            if folder == self._tree.root:
                break
        raise DataError(
            f"{self._tree.root}: {self._contradiction}, and neither is in a folder of "
            f"{self._tree.relative(label_file)}: keep one of the files, and correct the class ids of the other's labels"
        )

    def _read(self, paths: list[Path]) -> None:
        for path in paths:
            try:
                self._names_of[path] = read_class_names([path]) or []
            except DataError:
                if path == paths[0]:
                    raise
                # Another file of this name may be something else.


def _find_files(tree: FileTree) -> list[Path]:
    """Return the files of class names, the ones in outer folders first."""
    paths = [
        *tree.files(".names"),
        *(path for path in tree.files(".txt", ".labels") if path.name.lower() in _NAMES),
    ]
    paths = paths or [path for path in tree.files(".json") if path.name.lower() == "notes.json"]
    if not paths:  # the root may be the folder of one split
        beside = (tree.root.parent / name for name in ("classes.txt", "obj.names"))
        paths = [path for path in beside if path.is_file()][:1]
    return sorted(paths, key=lambda path: len(path.parts))


def _find_contradiction(tree: FileTree, names_of: Mapping[Path, list[str]]) -> str:
    """Return which two files name a class id differently, or ""; one may name more classes than the other.

    Raises DataError if they are in one folder.
    """
    found = ""
    for (path, names), (other, others) in itertools.combinations(names_of.items(), 2):
        for class_id, pair in enumerate(zip(names, others, strict=False)):
            if len(set(pair)) > 1:
                places = (f"{pair[0]!r} in {tree.relative(path)}", f"{pair[1]!r} in {tree.relative(other)}")
                fact = f"class {class_id} is {places[0]}, but {places[1]}"
                if path.parent == other.parent:
                    raise DataError(f"{tree.root}: {fact}: remove the wrong one of the files")
                found = found or fact
                break
    return found
