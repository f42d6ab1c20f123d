"""YOLO: one text file for each image, in any of these layouts.

    data.yaml, images/train/, labels/train/ …     as data.yaml describes it, see label_files.yolo_yaml
    train/images/, train/labels/ …                the same without data.yaml
    images/, labels/                              without splits, or with lists train.txt, val.txt, test.txt
    a.jpg, a.txt, b.jpg, b.txt                    labels beside the images (also in folders train, val, test)

The label file of an image is in the folder "labels" instead of the last "images" of its path, or beside the image, or
the one of its name in the most similar folder. An image without a label file is background: those that ``data.yaml``
names, or that are in a folder of labeled images; but none while there are label files without an image. Without
``data.yaml``, classes are named by ``classes.txt`` or a file ``*.names`` (one name per line; each folder may have its
own), else they are "class_0", "class_1" …
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import FileIndex
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.class_ids import count_from_one
from edge_ssd.data.label_files.text_lines import read_lines
from edge_ssd.data.label_files.yolo_class_files import YoloClassFiles
from edge_ssd.data.label_files.yolo_label_files import YoloLabelFiles, possible_label_files
from edge_ssd.data.label_files.yolo_labels import looks_like_dota, looks_like_labels
from edge_ssd.data.label_files.yolo_unlabeled import check_unlabeled
from edge_ssd.data.label_files.yolo_yaml import find_data_yaml, read_data_yaml
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "YOLO"
FILES = "data.yaml, or a text file of numbers for each image"

# Usual names of the file that describes a dataset, before the suffix.
_DATA_YAML = frozenset({"data", "dataset"})
_MAX_SNIFFED_FILES = 50


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` for a ``data.yaml``, ``WEAK`` for text files that look like YOLO labels, else ``NONE``.

    ``UNCLEAR`` for a ``data.yaml`` beside text files of corners and class names, as Roboflow exports DOTA.
    """
    paths = list(itertools.islice(possible_label_files(tree), _MAX_SNIFFED_FILES))
    labels = any(map(looks_like_labels, paths))
    if find_data_yaml(tree) is not None:
        return Match.SURE if labels or not any(map(looks_like_dota, paths)) else Match.UNCLEAR
    return Match.WEAK if labels else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for an invalid ``data.yaml``, list or file of names."""
    path = find_data_yaml(tree)
    return _parse_folders(tree) if path is None else _parse_described(tree, path)


def _parse_described(tree: FileTree, path: Path) -> ParsedDataset:
    description = read_data_yaml(path, tree.root)
    notices = _check_other_yaml(tree, path, description.names)
    _check_class_files(tree, path, description.names)
    labels = YoloLabelFiles(tree, description.keypoints)
    unusable = {
        split: f"{path}: its {split} images are in {entry!r}, which does not exist in the dataset: complete it"
        for split, entry in description.missing.items()
        if split not in description.sources
    }
    if not description.sources and not unusable:
        raise DataError(f"{path}: no images: state their folders as train and val")
    splits: dict[str, dict[Path, Path]] = {}
    for split, sources in description.sources.items():
        paths = _find_images(tree, sources)
        if not any(map(labels.find, paths)) and any(map(os.path.isfile, paths)):
            folders = ", ".join(map(str, sources))
            unusable[split] = f"{folders}: no image has a label file: put these in a folder labels beside images"
        else:
            splits[split] = paths
    splits, merged = _merge_equal(path, splits)
    notices += merged
    images = [
        labels.read(image, split, named_in) for split, paths in splits.items() for image, named_in in paths.items()
    ]
    images, faults = check_unlabeled(tree, images, labels.read_unused(next(iter(splits), "")))
    images, problems = _name_classes(path, images, description.names)
    names = tuple(description.names.values())
    problems = (*description.problems, *faults, *problems)
    notices += labels.notices
    return ParsedDataset(
        names, tuple(images), problems, tuple(notices), unusable, label_file_per_image=True, box_layout="cxcywh"
    )


def _parse_folders(tree: FileTree) -> ParsedDataset:
    """Return the annotations of a dataset without ``data.yaml``."""
    class_files = YoloClassFiles(tree)
    labels = YoloLabelFiles(tree)
    labeled_folders = {path.parent for path in tree.images() if labels.find(path)}
    images = [labels.read(path) for path in tree.images() if path.parent in labeled_folders]
    images, faults = check_unlabeled(tree, images, labels.read_unused())
    problems, notices = tuple(faults), labels.notices
    if class_files.names:
        images, shifted = _name_by_files(tree, images, class_files)
        return ParsedDataset(
            tuple(class_files.names),
            tuple(images),
            problems + shifted,
            (*class_files.notices, *notices),
            label_file_per_image=True,
            box_layout="cxcywh",
        )
    ids = (box.class_index for image in images for box in image.boxes)
    generated = tuple(f"class_{number}" for number in range(max(ids, default=-1) + 1))
    return ParsedDataset(
        generated,
        tuple(images),
        problems,
        tuple(notices),
        has_class_names=False,
        label_file_per_image=True,
        box_layout="cxcywh",
    )


def _check_other_yaml(tree: FileTree, path: Path, names: Mapping[int, str]) -> list[Problem]:
    """Return a notice for a second ``data.yaml`` in the folder that names a class otherwise.

    Raises DataError if neither has the usual name, which decides between them.
    """
    notices = []
    for other in tree.files(".yaml", ".yml"):
        if other == path or other.parent != path.parent:
            continue
        try:
            description = read_data_yaml(other, tree.root)
        except DataError:  # of another program
            continue
        common = sorted(names.keys() & description.names.keys()) if description.sources else []
        differing = next((number for number in common if names[number] != description.names[number]), None)
        if differing is None:
            continue
        fact = f"class {differing} is {names[differing]!r} in {path.name}, but {description.names[differing]!r} in "
        if path.stem.lower() not in _DATA_YAML:
            raise DataError(f"{path.parent}: {fact}{other.name}: remove the wrong one of them")
        notices.append(Problem(path, f"{fact}{other.name}, which is not used", doubt="files"))
    return notices


def _check_class_files(tree: FileTree, path: Path, names: Mapping[int, str]) -> None:
    """Raise DataError if a file of class names numbers the classes of ``data.yaml`` otherwise; new names are none."""
    try:
        others = YoloClassFiles(tree).names
    except DataError:
        return
    common = set(names.values()) & set(others)
    for class_id, name in enumerate(others):
        if name in common and names.get(class_id) != name:
            stated = names.get(class_id, "no class")
            fact = f"class {class_id} is {stated!r} in {tree.relative(path)}, but {name!r} in the file of class names"
            raise DataError(f"{tree.root}: {fact}: remove the wrong one of the files")


def _name_by_files(
    tree: FileTree, images: Sequence[ImageAnnotations], class_files: YoloClassFiles
) -> tuple[list[ImageAnnotations], tuple[Problem, ...]]:
    """Return the images with indices of ``class_files.names`` in place of class ids, and the problems."""
    groups: dict[tuple[str, ...], list[ImageAnnotations]] = {}
    for image in images:
        names = class_files.names_of(image.label_file) if image.boxes else ()
        groups.setdefault(names, []).append(image)
    named: list[ImageAnnotations] = []
    problems: tuple[Problem, ...] = ()
    for own_names, group in groups.items():
        path = tree.root if len(groups) == 1 else group[0].label_file.parent
        own, shifted = _name_classes(path, group, dict(enumerate(own_names)))
        new_index = [class_files.names.index(name) for name in own_names]
        named += [_renumber(image, new_index) for image in own]
        problems += shifted
    return named, problems


def _renumber(image: ImageAnnotations, new_index: Sequence[int]) -> ImageAnnotations:
    boxes = tuple(dataclasses.replace(box, class_index=new_index[box.class_index]) for box in image.boxes)
    return dataclasses.replace(image, boxes=boxes)


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
        named = f"{ids[0]} to {ids[-1]}" if ids[-1] - ids[0] == len(ids) - 1 else ", ".join(map(str, ids))
        fault = f"{unknown[0].location}: class id {unknown[0].class_index} has no name, only {named} have"
    return dataclasses.replace(image, boxes=boxes, fault=fault)


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
