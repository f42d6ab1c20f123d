"""Search for the image files of parsed annotations, and the split of each image."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import FileIndex, Found
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.label_files.split_lists import SplitLists, read_split_lists
from edge_ssd.data.label_files.split_table import read_split_table
from edge_ssd.data.split_names import SPLITS, split_from_folders, split_from_words
from edge_ssd.data.stated_names import check_stated_names

__all__ = ["LocatedImages", "locate_images"]

# How an image's name differs from the stated one → message with the number of images, a stated name and its file.
_DIFFERENCES = {
    "case": "{images} named in other upper and lower case in the label files ({stated!r} is {name!r}); used",
    "suffix": "{images} named with another suffix in the label files ({stated!r} is {name!r} here); used",
    "upload": "{images} named by upload paths in the label files ({stated!r} is taken for {name!r}); used",
}
# The last word of a name, apart from what label files and folders are usually called: "val" of "set_val_labels2".
_LAST_WORD = re.compile(
    r".*?([a-z]+)([^a-z]+(annotations?|bbox|boxes|coco|data|dataset|images?|labels?|set))*[^a-z]*$", re.IGNORECASE
)


@dataclass(frozen=True)
class LocatedImages:
    """Annotations by split.

    Attributes:
        splits: split → its images, with ``path`` where the file exists; an undivided dataset has the single key "".
        notices: where a name was guessed or an image is in no split.
        problems: faults of lists of images.
    """

    splits: Mapping[str, tuple[ImageAnnotations, ...]]
    notices: tuple[Problem, ...]
    problems: tuple[Problem, ...]


def locate_images(tree: FileTree, parsed: ParsedDataset) -> LocatedImages:
    """Find the image file and the split of all annotations.

    The split of an image is, in this order: stated with its labels; that of the list (``train.txt``) that names it;
    stated by the name of a label file for many images; stated by the folders of the label file or the image.
    """
    index = FileIndex(tree, tree.images())
    undecided = any(not image.split for image in parsed.images)
    lists = _read_lists(tree, index) if undecided else SplitLists()
    splits: dict[str, list[ImageAnnotations]] = {}
    differences: dict[str, list[tuple[ImageAnnotations, Path]]] = {}
    unlisted = 0
    moved: list[Path] = []  # images of val or test by their folders, in a list for training
    for image in parsed.images:
        split = image.split or _split_of_label_file(tree, image.label_file, parsed.label_file_per_image)
        found = Found(image.path) if image.path else _find(index, image, split)
        if found.path is not None and found.how != "exact":
            differences.setdefault(found.how, []).append((image, found.path))
        if not image.split:
            listed = lists.split_of(found.path, image.stem or image.file_name)
            own = split or split_from_folders(tree.folder_parts(found.path) if found.path else ())
            if listed == "train" and own in ("val", "test") and found.path is not None:
                moved.append(found.path)
            split = listed or own
            if lists and not listed and (split or "train") in lists.splits:
                unlisted += 1
                continue
        fault = image.fault
        if split and found.path is None and not found.equal and (other := _find(index, image, "").path) is not None:
            place = f"{tree.relative(other)}, the folder of another split than {split}, which its labels state"
            fault = fault or f"image {image.file_name!r} is {place}: move the image or the labels"
        if found.equal:
            names = ", ".join(tree.relative(path) for path in found.equal[:3])
            fault = fault or f"image {image.file_name!r} may be any of {names}: state its folder"
        located = dataclasses.replace(image, path=found.path or (found.equal or (None,))[0], split=split, fault=fault)
        splits.setdefault(split, []).append(located)
    notices = [
        Problem(
            entries[0][0].label_file,
            _DIFFERENCES[how].format(
                images=_images(len(entries)), stated=entries[0][0].file_name, name=entries[0][1].name
            ),
        )
        for how, entries in differences.items()
    ]
    notices += check_stated_names(tree, index, (image for images in splits.values() for image in images))
    if unlisted:
        notices.append(
            Problem(
                tree.root,
                f"{count(unlisted, 'labeled image', 'is', 'are')} in none of {lists.describe(tree)}; not used",
            )
        )
    labeled = {image.path for images in splits.values() for image in images}
    unlabeled = [path for path in lists.by_path if path not in labeled]
    if unlabeled:
        example = tree.relative(unlabeled[0])
        listed = f"{_images(len(unlabeled))} in {lists.describe(tree)}"
        message = f"{listed}, but without labels, such as {example}; not used"
        notices.append(Problem(tree.root, message))
    if moved:
        message = f"{_images(len(moved))} of train by {lists.describe(tree)}, but of val or test by their folders"
        notices.append(Problem(tree.root, f"{message}, such as {tree.relative(moved[0])}: trained on", doubt="files"))
    notices += lists.unread
    if lists.by_words:
        notices.append(Problem(tree.root, f"the splits are those of {lists.describe(tree)}"))
    if not lists and not parsed.unusable:
        notices += _check_sole_split(tree, splits, parsed)
    notices += _assign_undivided(tree, splits, set(parsed.unusable))
    problems = [*lists.problems, *_separate(tree, splits)]
    order = [split for split in (*SPLITS, "") if split in splits]
    return LocatedImages({split: tuple(splits[split]) for split in order}, tuple(notices), tuple(problems))


def _read_lists(tree: FileTree, index: FileIndex) -> SplitLists:
    lists = read_split_lists(tree, index)
    if lists:
        return lists
    table = read_split_table(tree, index)
    return dataclasses.replace(table, unread=(*lists.unread, *table.unread))


def _find(index: FileIndex, image: ImageAnnotations, split: str) -> Found:
    if image.stem is not None:
        found = index.find_stem(image.stem, image.file_name, image.label_file, split)
        if found.path is not None or found.equal:
            return found
    return index.find(image.file_name, image.label_file, split)


def _split_of_label_file(tree: FileTree, path: Path, per_image: bool) -> str:
    """Return the split that the name of a label file (unless it is named as an image) and its folders state, or ""."""
    return ("" if per_image else split_from_words(path.stem)) or split_from_folders(tree.folder_parts(path))


def _check_sole_split(
    tree: FileTree, splits: dict[str, list[ImageAnnotations]], parsed: ParsedDataset
) -> list[Problem]:
    """Return a notice if a word among others states the only split, which is not "train", such as "test_rig.json".

    Images of a split that only "dev" or "eval" states are taken to be in no split, such as those of a "dev_board".
    """
    named = set(splits) - {""}
    if len(named) > 1:
        return _check_unlike_names(tree, splits, parsed)
    if len(named) != 1 or "train" in named:
        return []
    split = named.pop()
    names = {_stating_name(tree, image, parsed.label_file_per_image) for image in splits[split]} - {""}
    if not names:  # stated by the content of the label files
        return []
    if not any(image.split for image in parsed.images) and not any(split_from_words(name, False) for name in names):
        splits[""] = splits.get("", []) + splits.pop(split)
        return []
    unclear = sorted(name for name in names if not split_from_words(_LAST_WORD.sub(r"\1", name)))
    if not unclear:
        return []
    message = f"{_images(len(splits[split]))} the {split} split, by the name {unclear[0]!r}: rename it if they are not"
    return [Problem(tree.root, message, doubt="files")]


def _check_unlike_names(
    tree: FileTree, splits: Mapping[str, Sequence[ImageAnnotations]], parsed: ParsedDataset
) -> list[Problem]:
    """Return a notice if words among others state the splits, and these differ: "train_station" and "test_field"."""
    of_split = {
        split: {_stating_name(tree, image, parsed.label_file_per_image) for image in images} - {""}
        for split, images in splits.items()
        if split
    }
    names = sorted(name for own in of_split.values() for name in own)
    words = [
        frozenset(word for word in re.findall(r"[a-z]+", name.lower()) if not split_from_words(word)) for name in names
    ]
    likes = [one & other for one, other in itertools.combinations(words, 2)]
    stated = any(image.split for image in parsed.images)
    if stated or len(of_split) < 2 or not all(of_split.values()) or not all(words) or any(likes):
        return []
    if any(split_from_words(_LAST_WORD.sub(r"\1", name)) for name in names):
        return []
    message = f"the splits are those of the names {', '.join(map(repr, names[:3]))}: rename them if they are not"
    return [Problem(tree.root, message, doubt="files")]


def _stating_name(tree: FileTree, image: ImageAnnotations, per_image: bool) -> str:
    """Return the name that states the split of an image, as :func:`locate_images` looks for it, or ""."""
    names = [] if per_image else [image.label_file.stem]
    for path in (image.label_file, image.path):
        names += reversed(tree.folder_parts(path) if path is not None else ())
    return next(filter(split_from_words, names), "")


def _assign_undivided(tree: FileTree, splits: dict[str, list[ImageAnnotations]], others: set[str]) -> list[Problem]:
    """Give the images of no split to the split that the root's name states, or else to "train" beside other splits."""
    if "" not in splits:
        return []
    if not others | set(splits) - {""}:
        # Only the last word of the root's name counts: "bananas_val" is a split, "test_bench" is not.
        last_word = re.split(r"[^a-z]+", tree.root.resolve().name.lower().rstrip("0123456789"))[-1]
        if split := split_from_words(last_word, uncertain=False):
            splits[split] = splits.pop("")
        return []
    undivided = splits.pop("")
    had_train = "train" in splits
    splits["train"] = splits.get("train", []) + undivided
    advice = "" if had_train else ": no other images are for training"
    number = sum(not image.fault for image in undivided)
    message = f"{_images(number)} in no split's folder; used in train{advice}"
    return [Problem(tree.root, message, doubt="files")] if number else []


def _images(number: int) -> str:
    return count(number, "image", "is", "are")


def _separate(tree: FileTree, splits: dict[str, list[ImageAnnotations]]) -> list[Problem]:
    """Drop an image that is labeled in several splits from all but one, so that none is trained on and measured on."""
    problems = []
    taken: dict[Path, str] = {}
    for split in reversed([split for split in SPLITS if split in splits]):
        common = [image for image in splits[split] if image.path in taken]
        if common:
            path = common[0].path
            assert path is not None
            message = f"{_images(len(common))} in {split} and also in {taken[path]}, such as {tree.relative(path)}"
            problems.append(Problem(common[0].label_file, f"{message}: not used in {split}"))
            splits[split] = [image for image in splits[split] if image.path not in taken]
        taken.update({image.path: split for image in splits[split] if image.path is not None})
    return problems
