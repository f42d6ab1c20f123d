"""Text files that name the class ids of YOLO label files: ``classes.txt`` and files of other tools.

A dataset mostly has one. Exports of several tasks have one each, in the folder of their label files or above it, and
may number the classes differently: then the ids of a label file are those of the nearest file.
"""

from __future__ import annotations

import functools
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
        # Folder → names by id, and their file: of files that agree, the longest.
        self._file_in: dict[Path, tuple[tuple[str, ...], Path]] = {}
        lists = self._read(_find_files(tree))
        self._contradiction = _find_contradiction(tree, lists)
        longest = max(lists, key=len, default=())
        self._common = () if self._contradiction else longest
        self.names = list(dict.fromkeys(itertools.chain.from_iterable(lists if self._contradiction else [longest])))
        self.notices: list[Problem] = []
        if self._contradiction:
            message = f"{self._contradiction}: each is used for the labels beside it"
            self.notices.append(Problem(tree.root, message, doubt="files"))

    def names_of(self, label_file: Path) -> tuple[str, ...]:
        """Return the class names by id for the boxes of a label file.

        Raises DataError if files contradict each other and none of them is in its folder or above it.
        """
        if not self._contradiction:
            return self._common
        for folder in label_file.parents:
            if folder in self._file_in:
                return self._file_in[folder][0]
            if folder == self._tree.root:
                break
        raise DataError(
            f"{self._tree.root}: {self._contradiction}, and neither is in a folder of "
            f"{self._tree.relative(label_file)}: keep one of the files, and correct the class ids of the other's labels"
        )

    def _read(self, paths: list[Path]) -> dict[tuple[str, ...], Path]:
        """Read the files; return each different list of names with the first file that has it."""
        lists: dict[tuple[str, ...], Path] = {}
        for path in paths:
            try:
                names = tuple(read_class_names([path]) or ())
            except DataError:
                if path == paths[0]:
                    raise
                continue  # another file of this name may be something else
            lists.setdefault(names, path)
            other = self._file_in.get(path.parent, ((), path))
            if fact := _differ(self._tree, other, (names, path)):
                raise DataError(f"{self._tree.root}: {fact}: remove the wrong one of the files")
            self._file_in[path.parent] = other if len(other[0]) > len(names) else (names, path)
        return lists


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


def _find_contradiction(tree: FileTree, lists: Mapping[tuple[str, ...], Path]) -> str:
    """Return the first two of the files that name a class id differently, or ""."""
    pairs = itertools.combinations(lists.items(), 2)
    return next(filter(None, itertools.starmap(functools.partial(_differ, tree), pairs)), "")


def _differ(tree: FileTree, first: tuple[tuple[str, ...], Path], second: tuple[tuple[str, ...], Path]) -> str:
    """Return which class id two files name differently, or ""; one may name more classes than the other."""
    for class_id, (name, other) in enumerate(zip(first[0], second[0], strict=False)):
        if name != other:
            places = f"{name!r} in {tree.relative(first[1])}, but {other!r} in {tree.relative(second[1])}"
            return f"class {class_id} is {places}"
    return ""
