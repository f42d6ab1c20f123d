"""Lists of the images of each split: ``train.txt``, ``val.txt`` … with one name or path per line.

ImageSets/Main/trainval.txt      of Pascal VOC: names without a suffix, perhaps followed by 1, 0 or -1
train.txt, valid.txt             of YOLO: paths of images
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import FileIndex, path_parts
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.text_lines import read_lines
from edge_ssd.data.split_names import SPLIT_OF_WORD, SPLITS
from edge_ssd.errors import DataError

__all__ = ["SplitLists", "read_split_lists"]

# VOC has lists for other tasks beside those for detection.
_PREFERRED_FOLDER = "main"
# Boxes after an image in the label files of keras-yolo3, which are called as lists are.
_BOXES = re.compile(r"(\s+[^\s,]+(,[^\s,]+){4})+$")


@dataclass(frozen=True)
class SplitLists:
    """Which split each listed image belongs to.

    Attributes:
        files: the lists that are used.
        splits: the splits that have a list.
        by_path, by_stem: image file or stem → split.
        problems: listed images that do not exist, or are in two lists.
    """

    files: tuple[Path, ...] = ()
    splits: frozenset[str] = frozenset()
    by_path: Mapping[Path, str] = field(default_factory=dict)
    by_stem: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.files)

    def split_of(self, path: Path | None, name: str) -> str:
        """Return the split of an image file, or of the name of a missing image; "" if it is in no list."""
        if path is not None:
            return self.by_path.get(path, "")
        parts = path_parts(name)
        return self.by_stem.get(PurePath(parts[-1]).stem, "") if parts else ""

    def describe(self, tree: FileTree) -> str:
        """Return the names of the lists, for messages."""
        return ", ".join(map(tree.relative, self.files))


def read_split_lists(tree: FileTree, index: FileIndex) -> SplitLists:
    """Read the lists of a dataset whose images are in ``index``; text files without any name of an image are none."""
    by_folder: dict[Path, list[Path]] = {}
    for path in tree.files(".txt"):
        if path.stem.lower() in SPLIT_OF_WORD:
            by_folder.setdefault(path.parent, []).append(path)
    folders = sorted(by_folder, key=lambda folder: (folder.name.lower() != _PREFERRED_FOLDER, len(folder.parts)))
    for folder in folders:
        lists = _read_folder(by_folder[folder], index)
        if lists:
            return lists
    return SplitLists()


def _read_folder(paths: list[Path], index: FileIndex) -> SplitLists:
    # An image in two lists is not trained on. "trainval" comes last: what it shares with "train" and "val" is theirs.
    words = sorted(SPLIT_OF_WORD, key=lambda word: (word == "trainval", -SPLITS.index(SPLIT_OF_WORD[word])))
    files: list[Path] = []
    by_path: dict[Path, str] = {}
    by_stem: dict[str, str] = {}
    problems: list[Problem] = []
    for path in sorted(paths, key=lambda path: words.index(path.stem.lower())):
        try:
            lines = read_lines(path, "image name")
        except DataError:
            continue
        split = SPLIT_OF_WORD[path.stem.lower()]
        images = {line: _find_listed(index, line, path) for line in lines}
        found = [image for image in images.values() if image is not None]
        if not found:
            continue
        files.append(path)
        missing = [line for line, image in images.items() if image is None]
        if missing:
            problems.append(Problem(path, f"{len(missing)} listed images do not exist, such as {missing[0]!r}"))
        by_stem |= {_stem(line): split for line in missing if _stem(line) not in by_stem}
        repeated = [image for image in found if by_path.get(image, split) != split]
        if repeated and path.stem.lower() != "trainval":
            other = by_path[repeated[0]]
            message = f"{len(repeated)} images are in the lists of {other} and {split}, such as {repeated[0].name}"
            problems.append(Problem(path, f"{message}: used in {other} only; correct the lists"))
        for image in found:
            by_path.setdefault(image, split)
    splits = frozenset(split for split in SPLITS if split in {*by_path.values(), *by_stem.values()})
    return SplitLists(tuple(files), splits, by_path, by_stem, tuple(problems))


def _find_listed(index: FileIndex, line: str, path: Path) -> Path | None:
    """Return the image of a line. A name may itself have spaces, so the line as a whole comes first."""
    for name in dict.fromkeys((line, re.sub(r"\s+-?[01]$", "", line), _BOXES.sub("", line))):
        found = index.find(name, path)
        if found.path is not None:
            return found.path
    return None


def _stem(line: str) -> str:
    parts = path_parts(re.sub(r"\s+-?[01]$", "", line))
    return PurePath(parts[-1]).stem if parts else ""
