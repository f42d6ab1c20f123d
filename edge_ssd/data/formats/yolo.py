"""YOLO: one text file for each image, in any of these layouts.

    data.yaml, images/train/, labels/train/ …     as data.yaml describes it, see label_files.yolo_yaml
    train/images/, train/labels/ …                the same without data.yaml
    images/, labels/                              without splits, or with lists train.txt, val.txt, test.txt
    a.jpg, a.txt, b.jpg, b.txt                    labels beside the images (also in folders train, val, test)

The label file of an image is in the folder "labels" instead of the last "images" of its path, or beside the image. An
image without a label file is background. Without ``data.yaml``, classes are named by ``classes.txt`` or ``obj.names``
(one name per line), else they are "class_0", "class_1" …
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset, SplitAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.image_index import IMAGE_SUFFIXES, ImageIndex
from edge_ssd.data.label_files.text_lines import read_class_names, read_lines
from edge_ssd.data.label_files.yolo_labels import looks_like_labels, read_labels
from edge_ssd.data.label_files.yolo_yaml import find_data_yaml, read_data_yaml
from edge_ssd.data.split_names import SPLITS, split_folders, split_from_suffix
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "YOLO"
FILES = "data.yaml, or folders images and labels"

# Text files among label files that have no labels.
_OTHER_TEXT_FILES = frozenset({"classes.txt", "train.txt", "val.txt", "valid.txt", "test.txt"})
_MAX_SNIFFED_FILES = 50


def sniff(folder: Path) -> Match:
    """Return ``SURE`` for a ``data.yaml``, ``WEAK`` for text files that look like YOLO labels, else ``NONE``."""
    if find_data_yaml(folder) is not None:
        return Match.SURE
    return Match.WEAK if _find_sources(folder) else Match.NONE


def parse(folder: Path) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for an invalid ``data.yaml``, list or file of names."""
    path = find_data_yaml(folder)
    if path is None:
        return _parse_without_yaml(folder)
    description = read_data_yaml(path)
    index_of = {class_id: index for index, class_id in enumerate(description.names)}
    splits = {
        split: _parse_split(sources, index_of, description.keypoints) for split, sources in description.sources.items()
    }
    for split, first in list(splits.items())[:1]:
        splits[split] = dataclasses.replace(first, problems=description.problems + first.problems)
    for split, entry in description.missing.items():
        error = f"{path}: its {split} images are in {entry!r}, which does not exist: complete the dataset"
        splits.setdefault(split, SplitAnnotations((), error=error))
    if not splits:
        raise DataError(f"{path}: no images: state their folders as train and val")
    return ParsedDataset(tuple(description.names.values()), splits, label_file_per_image=True)


def _parse_without_yaml(folder: Path) -> ParsedDataset:
    bases = (folder, folder / "labels", folder.parent)
    names = read_class_names(base / name for base in bases for name in ("classes.txt", "obj.names"))
    index_of = None if names is None else {class_id: class_id for class_id in range(len(names))}
    splits = {split: _parse_split(sources, index_of) for split, sources in _find_sources(folder).items()}
    if names is not None:
        return ParsedDataset(tuple(names), splits, label_file_per_image=True)
    ids = (box.class_index for split in splits.values() for image in split.images for box in image.boxes)
    generated = tuple(f"class_{number}" for number in range(max(ids, default=-1) + 1))
    return ParsedDataset(generated, splits, has_class_names=False, label_file_per_image=True)


def _parse_split(
    sources: Sequence[Path], index_of: Mapping[int, int] | None, keypoints: bool = False
) -> SplitAnnotations:
    """Find the images of a split, in folders and lists of images, and read their label files.

    ``index_of`` and ``keypoints`` are those of :func:`~edge_ssd.data.label_files.yolo_labels.read_labels`.
    """
    list_folder = functools.cache(ImageIndex)
    folder_of: dict[Path, ImageIndex] = {}  # label file → folder of its image
    images: list[ImageAnnotations] = []
    problems: list[Problem] = []
    reduced: list[Path] = []
    existing = unlabeled = 0
    for source in sources:
        for path in _images_below(source) if source.is_dir() else _listed_images(source):
            folder = list_folder(path.parent)
            label_file = _find_label_file(path)
            boxes: tuple[BoxAnnotation, ...] = ()
            if label_file is not None:
                folder_of.setdefault(label_file, folder)
                try:
                    labels = read_labels(label_file, index_of, keypoints)
                except (OSError, UnicodeDecodeError) as error:
                    problems.append(Problem(label_file, f"not UTF-8 text ({error}); its image is dropped"))
                    continue
                problems += labels.problems
                reduced += [label_file] if labels.reduced else []
                boxes = labels.boxes
            if folder.find(path.name) is not None:
                existing += 1
                unlabeled += label_file is None
            stated_in = label_file or (path if source.is_dir() else source)
            images.append(ImageAnnotations(stated_in, path.name, (folder,), boxes, normalized=True))
    if existing and unlabeled == existing:
        folders = ", ".join(map(str, sources))
        return SplitAnnotations(
            (), error=f"{folders}: no image has a label file: put these in a folder labels beside images"
        )
    problems += _labels_without_image(folder_of)
    notices = []
    if unlabeled:
        notices.append(Problem(sources[0], f"{unlabeled} images have no label file and are used as background"))
    if reduced:
        others = f"and {len(reduced) - 1} more files: " if len(reduced) > 1 else ""
        message = f"{others}polygons, rotated boxes or keypoints, reduced to bounding boxes"
        notices.append(Problem(reduced[0], message))
    return SplitAnnotations(tuple(images), tuple(problems), notices=tuple(notices))


def _labels_without_image(folder_of: Mapping[Path, ImageIndex]) -> list[Problem]:
    """Return a problem for each unused label file beside those in ``folder_of``."""
    image_folders: dict[Path, ImageIndex] = {}
    for path, folder in folder_of.items():
        image_folders.setdefault(path.parent, folder)
    return [
        Problem(path, "labels without an image; dropped")
        for label_folder, folder in image_folders.items()
        for path in sorted(label_folder.glob("*.txt"))
        if path not in folder_of and path.name not in _OTHER_TEXT_FILES and not folder.find_stem(path.stem)
    ]


def _find_sources(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return folders or lists of images by split, for a dataset without ``data.yaml``."""
    lists: dict[str, tuple[Path, ...]] = {
        split: (path,) for split in SPLITS if _lists_labeled_images(path := folder / f"{split}.txt")
    }
    if lists:
        return lists
    images = folder / "images"
    separate_labels = images.is_dir() and _has_labels(folder / "labels")
    sources: dict[str, tuple[Path, ...]] = {}
    for split, path in split_folders(images if separate_labels else folder):
        if separate_labels:
            sources[split] = (path,)
        elif (path / "images").is_dir() and _has_labels(path / "labels"):
            sources[split] = (path / "images",)
        elif _has_labels(path):
            sources[split] = (path,)
    if not sources and (separate_labels or _has_labels(folder)):
        sources[split_from_suffix(folder.resolve().name)] = (images if separate_labels else folder,)
    return sources


def _has_labels(folder: Path) -> bool:
    """Return whether ``folder``, or a folder in it, has text files like labels; only a few files are opened."""
    text_files = itertools.chain(folder.glob("*.txt"), folder.glob("*/*.txt"))
    candidates = (path for path in text_files if path.name not in _OTHER_TEXT_FILES)
    return any(looks_like_labels(path) for path in itertools.islice(candidates, _MAX_SNIFFED_FILES))


def _lists_labeled_images(path: Path) -> bool:
    """Return whether ``path`` is a list whose first image has a label file."""
    try:
        images = _listed_images(path) if path.is_file() else []
    except DataError:
        return False
    return bool(images) and images[0].suffix.lower() in IMAGE_SUFFIXES and _find_label_file(images[0]) is not None


def _images_below(folder: Path) -> list[Path]:
    """Return the image files in ``folder`` and all folders below it, sorted within each folder."""
    images = []
    for base, folders, files in os.walk(folder):
        folders.sort()
        images += [Path(base, name) for name in sorted(files) if PurePath(name).suffix.lower() in IMAGE_SUFFIXES]
    return images


def _listed_images(path: Path) -> list[Path]:
    """Return the images that a list names, one path per line, relative to the list."""
    folder = ImageIndex(path.parent)
    return [folder.find(line) or path.parent / line for line in read_lines(path, "image path")]


def _find_label_file(image: Path) -> Path | None:
    """Return the label file in "labels" instead of the last "images" of the path, else the one beside the image."""
    parts = image.parent.parts
    beside = image.with_suffix(".txt")
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        in_labels = Path(*parts[:last], "labels", *parts[last + 1 :], beside.name)
        if in_labels.is_file():
            return in_labels
    return beside if beside.is_file() else None
