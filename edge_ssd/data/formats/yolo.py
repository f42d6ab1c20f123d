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
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset, SplitAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.image_index import IMAGE_SUFFIXES, ImageIndex
from edge_ssd.data.label_files.text_lines import read_class_names, read_lines
from edge_ssd.data.label_files.yolo_labels import YoloLabels, looks_like_labels, read_labels
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
    """Return whether there is a ``data.yaml``, or text files like labels in one of the layouts."""
    if find_data_yaml(folder) is not None:
        return Match.SURE
    return Match.WEAK if _find_sources(folder) else Match.NONE


def parse(folder: Path) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for an invalid ``data.yaml``, list or file of names."""
    path = find_data_yaml(folder)
    if path is None:
        bases = (folder, folder / "labels", folder.parent)
        stated_names = read_class_names(base / name for base in bases for name in ("classes.txt", "obj.names"))
        names = None if stated_names is None else dict(enumerate(stated_names))
        return _annotate({split: _collect(sources, names) for split, sources in _find_sources(folder).items()}, names)
    description = read_data_yaml(path)
    names = description.names
    parsed = _annotate(
        {split: _collect(sources, names, description.keypoints) for split, sources in description.sources.items()},
        names,
        description.problems,
    )
    missing = {
        split: SplitAnnotations(
            (), error=f"{path}: its {split} images are in {entry!r}, which does not exist: complete the dataset"
        )
        for split, entry in description.missing.items()
        if split not in parsed.splits
    }
    if not parsed.splits and not missing:
        raise DataError(f"{path}: no images: state their folders as train and val")
    return dataclasses.replace(parsed, splits={**parsed.splits, **missing})


@dataclass(frozen=True)
class _Image:
    """An image and its labels.

    Attributes:
        folder: the folder it should be in.
        name: its file name.
        labels: content of its label file; None if it has none.
        stated_in: its label file, else the list that names it, else the image itself; for messages.
    """

    folder: ImageIndex
    name: str
    labels: YoloLabels | None
    stated_in: Path


@dataclass(frozen=True)
class _Split:
    """Images of a split, the folders and lists that they are from, and problems of label files."""

    sources: Sequence[Path]
    images: Sequence[_Image]
    problems: Sequence[Problem]


def _collect(sources: Sequence[Path], known_ids: Collection[int] | None, keypoints: bool = False) -> _Split:
    """Find the images of a split and read their label files.

    Args:
        sources: folders and lists of images.
        known_ids, keypoints: as for :func:`edge_ssd.data.label_files.yolo_labels.read_labels`.
    """
    folders: dict[Path, ImageIndex] = {}
    folder_of_labels: dict[Path, ImageIndex] = {}
    used: set[Path] = set()
    images: list[_Image] = []
    problems: list[Problem] = []
    for source in sources:
        for path in _images_below(source) if source.is_dir() else _listed_images(source):
            if path.parent not in folders:
                folders[path.parent] = ImageIndex(path.parent)
            folder = folders[path.parent]
            label_file, labels = _find_label_file(path), None
            if label_file is not None:
                used.add(label_file)
                folder_of_labels.setdefault(label_file.parent, folder)
                try:
                    labels = read_labels(label_file, known_ids, keypoints)
                except (OSError, UnicodeDecodeError) as error:
                    problems.append(Problem(label_file, f"not UTF-8 text ({error}); its image is dropped"))
                    continue
                problems.extend(labels.problems)
            images.append(_Image(folder, path.name, labels, label_file or (path if source.is_dir() else source)))
    for label_folder, folder in folder_of_labels.items():
        for path in sorted(label_folder.glob("*.txt")):
            if path not in used and path.name not in _OTHER_TEXT_FILES and not folder.find_stem(path.stem):
                problems.append(Problem(path, "labels without an image; dropped"))
    return _Split(sources, images, problems)


def _annotate(
    splits: Mapping[str, _Split], names: Mapping[int, str] | None, problems: Sequence[Problem] = ()
) -> ParsedDataset:
    """Return the annotations of all splits.

    Args:
        names: class id → name; None to generate names.
        problems: problems of the whole dataset, reported with the first split.
    """
    has_names = names is not None
    if names is None:
        labels = (image.labels for split in splits.values() for image in split.images if image.labels)
        highest = max((box.class_id for file in labels for box in file.boxes), default=-1)
        names = {number: f"class_{number}" for number in range(highest + 1)}
    index_of = {number: index for index, number in enumerate(names)}
    annotations = {split: _annotate_split(content, index_of) for split, content in splits.items()}
    if problems and annotations:
        first = next(iter(annotations))
        annotations[first] = dataclasses.replace(annotations[first], problems=(*problems, *annotations[first].problems))
    return ParsedDataset(tuple(names.values()), annotations, has_names, label_file_per_image=True)


def _annotate_split(split: _Split, index_of: Mapping[int, int]) -> SplitAnnotations:
    existing = [image for image in split.images if image.folder.find(image.name) is not None]
    unlabeled = sum(image.labels is None for image in existing)
    if existing and unlabeled == len(existing):
        sources = ", ".join(map(str, split.sources))
        return SplitAnnotations(
            (), error=f"{sources}: no image has a label file: put these in a folder labels beside images"
        )
    notices = []
    if unlabeled:
        message = f"{unlabeled} images have no label file and are used as background"
        notices.append(Problem(split.sources[0], message))
    reduced = [image.stated_in for image in split.images if image.labels is not None and image.labels.reduced]
    if reduced:
        others = f"and {len(reduced) - 1} more files: " if len(reduced) > 1 else ""
        message = f"{others}polygons, rotated boxes or keypoints, reduced to bounding boxes"
        notices.append(Problem(reduced[0], message))
    images = []
    for image in split.images:
        boxes = tuple(
            BoxAnnotation(index_of[box.class_id], box.box_xyxy, f"line {box.line}")
            for box in (image.labels.boxes if image.labels is not None else ())
        )
        images.append(ImageAnnotations(image.stated_in, image.name, (image.folder,), boxes, normalized=True))
    return SplitAnnotations(tuple(images), tuple(split.problems), notices=tuple(notices))


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
    opened = 0
    for pattern in ("*.txt", "*/*.txt"):
        for path in folder.glob(pattern):
            if path.name not in _OTHER_TEXT_FILES:
                if looks_like_labels(path):
                    return True
                opened += 1
                if opened == _MAX_SNIFFED_FILES:
                    return False
    return False


def _lists_labeled_images(path: Path) -> bool:
    """Return whether ``path`` is a list whose first image has a label file."""
    if not path.is_file():
        return False
    try:
        first = next(iter(_listed_images(path)), None)
    except DataError:
        return False
    return first is not None and first.suffix.lower() in IMAGE_SUFFIXES and _find_label_file(first) is not None


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
