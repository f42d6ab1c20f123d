"""YOLO: one text file for each image, in any of these layouts.

    data.yaml, images/train/, labels/train/ …     as data.yaml describes it, see label_files.yolo_yaml
    train/images/, train/labels/ …                the same without data.yaml
    images/, labels/                              without splits, or with lists train.txt, val.txt, test.txt
    a.jpg, a.txt, b.jpg, b.txt                    labels beside the images (also in folders train, val, test)

The label file of an image is in the folder "labels" instead of the last "images" of its path, or beside the image, or
the one of its name in the most similar folder. An image without a label file is background: those that ``data.yaml``
names, or that are in a folder of labeled images. Without ``data.yaml``, classes are named by ``classes.txt`` or a file
``*.names`` (one name per line), else they are "class_0", "class_1" …
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import FileIndex
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.class_ids import count_from_one
from edge_ssd.data.label_files.text_lines import read_class_names, read_lines
from edge_ssd.data.label_files.yolo_labels import looks_like_labels, read_labels
from edge_ssd.data.label_files.yolo_yaml import find_data_yaml, read_data_yaml
from edge_ssd.data.split_names import SPLIT_OF_WORD
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "YOLO"
FILES = "data.yaml, or a text file of numbers for each image"

_CLASS_FILES = frozenset({"classes.txt", "labels.txt"})
# Names of text files without labels, before the suffix.
_OTHER_TEXT_FILES = frozenset({"classes", "labels", "names", "readme", "license", "requirements", *SPLIT_OF_WORD})
_MAX_SNIFFED_FILES = 50


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` for a ``data.yaml``, ``WEAK`` for text files that look like YOLO labels, else ``NONE``."""
    if find_data_yaml(tree) is not None:
        return Match.SURE
    paths = itertools.islice(_label_files(tree), _MAX_SNIFFED_FILES)
    return Match.WEAK if any(map(looks_like_labels, paths)) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for an invalid ``data.yaml``, list or file of names."""
    path = find_data_yaml(tree)
    return _parse_folders(tree) if path is None else _parse_described(tree, path)


def _parse_described(tree: FileTree, path: Path) -> ParsedDataset:
    description = read_data_yaml(path)
    labels = _Labels(tree, description.keypoints)
    unusable = {
        split: f"{path}: its {split} images are in {entry!r}, which does not exist: complete the dataset"
        for split, entry in description.missing.items()
        if split not in description.sources
    }
    if not description.sources and not unusable:
        raise DataError(f"{path}: no images: state their folders as train and val")
    splits: dict[str, dict[Path, Path]] = {}
    for split, sources in description.sources.items():
        paths = _find_images(tree, sources)
        if not any(map(labels.find, paths)) and any(path.is_file() for path in paths):
            folders = ", ".join(map(str, sources))
            unusable[split] = f"{folders}: no image has a label file: put these in a folder labels beside images"
        else:
            splits[split] = paths
    splits, notices = _merge_equal(path, splits)
    images = [
        labels.read(image, split, named_in) for split, paths in splits.items() for image, named_in in paths.items()
    ]
    notices += _background_notice(tree.root, images)
    images += labels.read_unused(next(iter(splits), ""))
    images, problems = _name_classes(path, images, description.names)
    names = tuple(description.names.values())
    problems = (*description.problems, *problems)
    return ParsedDataset(
        names, tuple(images), problems, tuple(notices), unusable, label_file_per_image=True, box_layout="cxcywh"
    )


def _parse_folders(tree: FileTree) -> ParsedDataset:
    """Return the annotations of a dataset without ``data.yaml``."""
    class_files = [*tree.files(".names"), *(path for path in tree.files(".txt") if path.name.lower() in _CLASS_FILES)]
    if not class_files:  # the root may be the folder of one split
        class_files = [tree.root.parent / "classes.txt", tree.root.parent / "obj.names"]
    names = read_class_names(sorted(class_files, key=lambda path: len(path.parts)))
    labels = _Labels(tree)
    labeled_folders = {path.parent for path in tree.images() if labels.find(path)}
    images = [labels.read(path) for path in tree.images() if path.parent in labeled_folders]
    notices = tuple(_background_notice(tree.root, images))
    images += labels.read_unused()
    if names is not None:
        images, problems = _name_classes(tree.root, images, dict(enumerate(names)))
        return ParsedDataset(
            tuple(names), tuple(images), problems, notices, label_file_per_image=True, box_layout="cxcywh"
        )
    ids = (box.class_index for image in images for box in image.boxes)
    generated = tuple(f"class_{number}" for number in range(max(ids, default=-1) + 1))
    return ParsedDataset(
        generated, tuple(images), notices=notices, has_class_names=False, label_file_per_image=True, box_layout="cxcywh"
    )


class _Labels:
    """The label files of a dataset. The boxes that are read have class ids in place of class indices.

    ``keypoints`` is that of :func:`~edge_ssd.data.label_files.yolo_labels.read_labels`.
    """

    def __init__(self, tree: FileTree, keypoints: bool = False) -> None:
        self._paths = list(_label_files(tree))
        self._index = FileIndex(tree, self._paths)
        self._keypoints = keypoints
        self._used: dict[Path, Path | None] = {}  # image → its label file

    def find(self, image: Path) -> Path | None:
        """Return the label file of an image, or None."""
        if image not in self._used:
            self._used[image] = _find_in_usual_folders(image) or self._index.find_stem(image.stem, "", image).path
        return self._used[image]

    def read(self, image: Path, split: str = "", named_in: Path | None = None) -> ImageAnnotations:
        """Return an image with the boxes of its label file, or with none if it has no label file.

        ``named_in`` is the list that names the image, which may not exist then.
        """
        label_file = self.find(image)
        path = image if image.is_file() else None
        if label_file is None:
            return ImageAnnotations(path or named_in or image, image.name, split=split, path=path)
        return self._read(label_file, image.name, path, split)

    def read_unused(self, split: str = "") -> list[ImageAnnotations]:
        """Return the content of the label files without an image, which is then reported as missing."""
        used = set(self._used.values())
        folders = {path.parent for path in used if path is not None}
        return [
            self._read(path, path.stem, None, split)
            for path in self._paths
            if path not in used and path.parent in folders
        ]

    def _read(self, label_file: Path, name: str, path: Path | None, split: str) -> ImageAnnotations:
        try:
            labels = read_labels(label_file, self._keypoints)
        except (OSError, UnicodeDecodeError) as error:
            return ImageAnnotations(label_file, name, split=split, path=path, fault=f"not UTF-8 text ({error})")
        return ImageAnnotations(label_file, name, labels.boxes, split, path, normalized=True, fault=labels.fault)


def _name_classes(
    path: Path, images: Sequence[ImageAnnotations], names: Mapping[int, str]
) -> tuple[list[ImageAnnotations], tuple[Problem, ...]]:
    """Return the images with class indices in place of class ids; ids from 1 to the number of names are shifted.

    Args:
        path: the file or folder to report a shift for.
        names: class id → name.
    """
    index_of = {class_id: index for index, class_id in enumerate(names)}
    ids = {box.class_index for image in images for box in image.boxes}
    problems: tuple[Problem, ...] = ()
    if list(names) == list(range(len(names))) and (message := count_from_one(ids, list(names.values()))):
        index_of = {class_id + 1: index for class_id, index in index_of.items()}
        problems = (Problem(path, message),)
    return [_name_boxes(image, index_of) for image in images], problems


def _name_boxes(image: ImageAnnotations, index_of: Mapping[int, int]) -> ImageAnnotations:
    unknown = [box for box in image.boxes if box.class_index not in index_of]
    boxes = tuple(
        dataclasses.replace(box, class_index=index_of[box.class_index])
        for box in image.boxes
        if box.class_index in index_of
    )
    fault = image.fault
    if unknown and not fault:
        ids = sorted(index_of)
        named = f"{ids[0]} to {ids[-1]}" if ids == list(range(ids[0], ids[-1] + 1)) else ", ".join(map(str, ids))
        fault = f"{unknown[0].location}: class id {unknown[0].class_index} has no name, only {named} have"
    return dataclasses.replace(image, boxes=boxes, fault=fault)


def _label_files(tree: FileTree) -> Iterator[Path]:
    return (path for path in tree.files(".txt") if path.stem.lower() not in _OTHER_TEXT_FILES)


def _find_images(tree: FileTree, sources: Sequence[Path]) -> dict[Path, Path]:
    """Return the images in folders and lists of images, each with the folder or list."""
    index: FileIndex | None = None
    images: dict[Path, Path] = {}
    for source in sources:
        if source.is_dir():
            inside = tree if source.is_relative_to(tree.root) else FileTree(source)
            images |= {path: source for path in inside.images() if path.is_relative_to(source)}
            continue
        index = index or FileIndex(tree, tree.images())
        for line in read_lines(source, "image path"):
            images[index.find(line, source).path or source.parent / line] = source
    return images


def _merge_equal(path: Path, splits: dict[str, dict[Path, Path]]) -> tuple[dict[str, dict[Path, Path]], list[Problem]]:
    """Return the splits, with train and val as one undivided set if they are the same images, and a notice of it."""
    if "train" not in splits or splits["train"].keys() != splits.get("val", {}).keys():
        return splits, []
    merged = {split: paths for split, paths in splits.items() if split not in ("train", "val")}
    merged["train" if merged else ""] = splits["train"]
    return merged, [Problem(path, "train and val are the same images: read as one set without a validation split")]


def _background_notice(root: Path, images: Sequence[ImageAnnotations]) -> list[Problem]:
    count = sum(image.label_file == image.path for image in images)
    return [Problem(root, f"{count} images have no label file and are used as background")] if count else []


def _find_in_usual_folders(image: Path) -> Path | None:
    """Return the label file in "labels" instead of the last "images" of the path, else the one beside the image."""
    parts = image.parent.parts
    beside = image.with_suffix(".txt")
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        in_labels = Path(*parts[:last], "labels", *parts[last + 1 :], beside.name)
        if in_labels.is_file():
            return in_labels
    return beside if beside.is_file() else None
