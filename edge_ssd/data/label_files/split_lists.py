"""Lists of the images of each split: ``train.txt``, ``val.txt`` … with one name or path per line.

ImageSets/Main/trainval.txt      of Pascal VOC: names without a suffix, perhaps followed by 1, 0 or -1
ImageSets/Main/cat_train.txt     the same images for each class; read where the lists of all classes are missing
train.txt, valid.txt             of YOLO: paths of images
train_list.txt, val_list.txt     of PaddleX: paths of images, each followed by that of its label file
splits/train_ids.csv             a table's column of names, perhaps below a header
train/train.txt, val/val.txt     each list in a folder of its own
split.csv                        a table of names and splits, see label_files.split_table
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import FileIndex, path_parts
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.text_lines import read_lines
from edge_ssd.data.split_names import SPLIT_OF_WORD, SPLITS, split_from_words
from edge_ssd.errors import DataError

__all__ = ["SplitLists", "read_split_lists"]

# VOC has lists for other tasks beside those for detection.
_PREFERRED_FOLDER = "main"
# Boxes after an image in the label files of keras-yolo3, which are called as lists are.
_BOX = re.compile(r"[^\s,]+(,[^\s,]+){4}")
# What may follow an image: a flag, or the path of its label file.
_MAX_AFTER_NAME = 2
_AFTER_NAME = re.compile(r"-?[01]?|[\"']?[^,;\t]*\.(xml|txt|json|png|bmp|jpe?g)[\"']?", re.IGNORECASE)


@dataclass(frozen=True)
class SplitLists:
    """Which split each listed image belongs to.

    Attributes:
        files: the lists that are used.
        splits: the splits that have a list.
        by_path, by_stem: image file or stem → split.
        problems: listed images that do not exist, or are in two lists.
        unread: lists that name no image of the dataset, and those of another division, with the reason.
        by_words: whether words in the names of the lists state the splits, or rows of a table.
    """

    files: tuple[Path, ...] = ()
    splits: frozenset[str] = frozenset()
    by_path: Mapping[Path, str] = field(default_factory=dict)
    by_stem: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    unread: tuple[Problem, ...] = ()
    by_words: bool = False

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
    """Read the lists of a dataset whose images are in ``index``; files without any name of an image are none."""
    stems = {path.stem for path in tree.images()}
    groups: dict[tuple[bool, bool, Path], list[Path]] = {}
    for path in tree.files(".txt", ".csv", ".tsv", ".lst"):
        exact = path.suffix.lower() == ".txt" and path.stem.lower() in SPLIT_OF_WORD
        # The label file of the image "test_1.jpg" is no list.
        if exact or (path.stem not in stems and split_from_words(path.stem)):
            groups.setdefault((path.parent.name.lower() != _PREFERRED_FOLDER, not exact, path.parent), []).append(path)
    unread = [*_report_unread(tree, index, groups, stems)]
    for place in ((False, False), (False, True), (True, False), (True, True)):
        found: list[SplitLists] = []
        others: list[SplitLists] = []
        splits: frozenset[str] = frozenset()
        for folder in sorted((key[2] for key in groups if key[:2] == place), key=lambda folder: len(folder.parts)):
            lists = _read_group(groups[(*place, folder)], index, by_words=place[1])
            # Each split's list may be in a folder of its own. One more list of a split is another division.
            if lists and splits.isdisjoint(lists.splits):
                found.append(lists)
                splits |= lists.splits
            elif lists:
                others.append(lists)
        if found:
            paths = [path for lists in found for path in lists.files]
            chosen = found[0] if len(found) == 1 else _read_group(paths, index, by_words=place[1])
            unread += _report_other_divisions(tree, chosen, others)
            return dataclasses.replace(chosen, unread=tuple(unread))
    return SplitLists(unread=tuple(unread))


def _report_unread(
    tree: FileTree, index: FileIndex, groups: Mapping[tuple[bool, bool, Path], list[Path]], stems: set[str]
) -> Iterator[Problem]:
    """Yield a notice for each file that is called as a list and names no image."""
    for (_, not_exact, _), paths in groups.items():
        for path in paths if not not_exact else ():
            if path.stem in stems or not (lines := _read_names(path, index)):
                continue
            if all(_find_listed(index, line, path) is None for line in lines):
                fact = f"none of its {count(len(lines), 'line')} names an image, such as {lines[0][:40]!r}"
                yield Problem(path, f"{fact}: not used; write one name of an image per line", doubt="files")


def _report_other_divisions(tree: FileTree, used: SplitLists, others: Sequence[SplitLists]) -> list[Problem]:
    """Return a notice of lists that divide the images of ``used`` otherwise, as those of several folds."""
    differing = [
        lists
        for lists in others
        if any(used.by_path.get(path, split) != split for path, split in lists.by_path.items())
    ]
    if not differing:
        return []
    names = tree.describe_folders([path for lists in differing for path in lists.files])
    message = f"the splits are those of {used.describe(tree)}; the lists in {names} divide the images otherwise"
    return [Problem(tree.root, f"{message}: not used", doubt="files")]


def _read_group(paths: list[Path], index: FileIndex, by_words: bool) -> SplitLists:
    """Read lists that divide a dataset.

    Args:
        by_words: whether their names are no proof that they are lists. Most of their different lines must name images.
    """
    files: list[Path] = []
    by_path: dict[Path, str] = {}
    by_stem: dict[str, str] = {}
    problems: list[Problem] = []
    # An image in two lists is not trained on. "trainval" comes last: what it shares with "train" and "val" is theirs.
    for path in sorted(paths, key=lambda path: (_is_trainval(path), -SPLITS.index(split_from_words(path.stem)))):
        lines = _read_names(path, index)
        split = split_from_words(path.stem)
        lines = _first_columns(lines, index, path) if by_words else lines
        images = {line: _find_listed(index, line, path) for line in lines}
        found = [image for image in images.values() if image is not None]
        if not found or (by_words and not len(lines) * 0.9 <= len(images) <= 2 * len(found)):
            continue
        files.append(path)
        missing = [line for line, image in images.items() if image is None]
        if missing:
            fact = f"{count(len(missing), 'listed image', 'does', 'do')} not exist, such as {missing[0]!r}"
            problems.append(Problem(path, fact))
        by_stem |= {_stem(line): split for line in missing if _stem(line) not in by_stem}
        repeated = [image for image in found if by_path.get(image, split) != split]
        if repeated and not _is_trainval(path):
            other = by_path[repeated[0]]
            both = f"in the lists of {other} and {split}, such as {repeated[0].name}"
            message = f"{count(len(repeated), 'image', 'is', 'are')} {both}"
            problems.append(Problem(path, f"{message}: used in {other} only; correct the lists"))
        for image in found:
            by_path.setdefault(image, split)
    splits = frozenset(split for split in SPLITS if split in {*by_path.values(), *by_stem.values()})
    return SplitLists(tuple(files), splits, by_path, by_stem, tuple(problems), by_words=by_words)


def _read_names(path: Path, index: FileIndex) -> list[str]:
    """Return the lines of a list, without quotes; if no line names an image, the names between commas. None if damaged.

    Such as ``a.jpg, b.jpg`` or ``['a.jpg', 'b.jpg']``.
    """
    try:
        lines = read_lines(path, "image name")
    except DataError:
        return []
    if any(_find_listed(index, line, path) for line in lines):
        return lines
    names = [name.strip("[](){}\"' \t") for line in lines for name in line.split(",")]
    return names if any(_find_listed(index, name, path) for name in names) else lines


def _is_trainval(path: Path) -> bool:
    return re.search(r"train[^a-z]?val", path.stem.lower()) is not None


def _first_columns(lines: list[str], index: FileIndex, path: Path) -> list[str]:
    """Return the name of an image in each line, after which at most two flags or names follow; none if one has more.

    A header, which names no image, is left out.
    """
    names = []
    for number, line in enumerate(lines):
        first, *others = re.split(r"[,;\t]\s*" if re.search(r"[,;\t]", line) else r"\s+", line)
        first = first.strip("\"'")
        whole = index.find(line, path)
        if not others or (whole.path is not None and whole.how == "exact"):
            names.append(first if not others else line)
        elif len(others) <= _MAX_AFTER_NAME and all(map(_AFTER_NAME.fullmatch, others)):
            names.append(first if index.find(first, path).path is not None or whole.path is None else line)
        elif number or path.suffix.lower() == ".txt":
            return []
    if len(names) > 1 and path.suffix.lower() != ".txt" and index.find(names[0], path).path is None:
        del names[0]
    return names


def _find_listed(index: FileIndex, line: str, path: Path) -> Path | None:
    """Return the image of a line. A name may itself have spaces, so the line as a whole comes first."""
    for name in dict.fromkeys((line, _without_flag(line), _without_boxes(line))):
        found = index.find(name, path)
        if found.path is not None:
            return found.path
    return None


def _without_flag(line: str) -> str:
    words = line.rsplit(None, 1)
    return words[0] if len(words) > 1 and words[1] in ("0", "1", "-0", "-1") else line


def _without_boxes(line: str) -> str:
    words = line.split()
    boxes = sum(1 for _ in itertools.takewhile(_BOX.fullmatch, reversed(words[1:])))
    return line.rsplit(None, boxes)[0] if boxes else line


def _stem(line: str) -> str:
    parts = path_parts(_without_flag(line))
    return PurePath(parts[-1]).stem if parts else ""
