"""COCO JSON: one file for each split, which lists images, annotations and categories.

    annotations/instances_train2017.json …    images in train2017/, images/train2017/, images/train/ or images/
    train/_annotations.coco.json …            each beside its images (Roboflow's export)
    result.json, images/                      a dataset without splits

Source: https://cocodataset.org/#format-data. A box is (xmin, ymin, width, height) in pixels. Category ids may have
gaps; the class names are in the order of these ids. A crowd's box surrounds many objects and is ignored, as in training
on COCO itself.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset, SplitAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.image_index import ImageIndex
from edge_ssd.data.split_names import split_folders, split_from_suffix, split_from_words, unique_splits
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "COCO JSON"
FILES = "*.json with images, annotations and categories"

_LISTS = [re.compile(rb'"%s"\s{0,40}:\s{0,40}\[' % key) for key in (b"images", b"annotations", b"categories")]


def sniff(folder: Path) -> Match:
    """Return ``SURE`` if ``folder``, its ``annotations`` or a split's folder in it has COCO JSON, else ``NONE``."""
    return Match.SURE if _label_files(folder) else Match.NONE


def parse(folder: Path) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for a file that is not COCO JSON."""
    files = {split: _read(path) for split, path in _label_files(folder).items()}
    names = _class_names(files.values())
    index_of = {name: index for index, name in enumerate(names)}
    return ParsedDataset(
        tuple(names),
        {split: _annotate(file, index_of, _image_folders(file.path, folder, split)) for split, file in files.items()},
    )


@dataclass(frozen=True)
class _LabelFile:
    """Content of a label file; ``categories`` maps an id to (name, supercategory or "")."""

    path: Path
    images: list[Any]
    annotations: list[Any]
    categories: dict[object, tuple[str, str]]


def _label_files(folder: Path) -> dict[str, Path]:
    """Return the label files by split; raise DataError if several have the same split."""
    for place in (folder, folder / "annotations"):
        paths = _coco_files(place)
        # COCO has files with captions and keypoints of the same images beside those with boxes.
        paths = [path for path in paths if path.name.startswith("instances_")] or paths
        if len(paths) == 1 and not split_from_words(paths[0].stem):
            return {split_from_suffix(folder.resolve().name): paths[0]}
        if paths:
            return _by_split(folder, paths)
    return unique_splits(
        folder, ((split, path) for split, place in split_folders(folder) for path in _coco_files(place))
    )


def _coco_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.json")) if _looks_like_coco(path)]


def _by_split(folder: Path, paths: Iterable[Path]) -> dict[str, Path]:
    """Return the files that are named for a split; raise DataError if there are none."""
    splits = [(split_from_words(path.stem), path) for path in paths]
    path_of = unique_splits(folder, (pair for pair in splits if pair[0]))
    if not path_of:
        names = ", ".join(path.name for _, path in splits[:3])
        raise DataError(
            f"{folder}: {len(splits)} COCO files ({names}) and none is named for a split: "
            "name them train.json, val.json, test.json, or keep one"
        )
    return path_of


def _looks_like_coco(path: Path) -> bool:
    """Return whether the file has two of the three lists. It is searched, not parsed: it may have half a gigabyte."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return sum(pattern.search(text) is not None for pattern in _LISTS) >= 2
    except (OSError, ValueError):  # ValueError: the file is empty
        return False


def _read(path: Path) -> _LabelFile:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: invalid JSON ({error}): export the labels again") from None
    images, annotations, categories = (_get(data, key) for key in ("images", "annotations", "categories"))
    if annotations is None:  # as in COCO's test split
        annotations = []
    if not (isinstance(images, list) and isinstance(annotations, list) and isinstance(categories, list)):
        raise DataError(f"{path}: not COCO JSON: expected the lists images, annotations and categories")
    names: dict[object, tuple[str, str]] = {}
    for category in categories:
        category_id, name, group = (_get(category, key) for key in ("id", "name", "supercategory"))
        if not _is_id(category_id) or not isinstance(name, str) or not name.strip():
            raise DataError(f"{path}: a category needs an id and a name, got {category!r:.80}")
        if category_id in names:
            raise DataError(f"{path}: category id {category_id!r} is repeated: export the labels again")
        names[category_id] = (name.strip(), group.strip() if isinstance(group, str) else "")
    return _LabelFile(path, images, annotations, names)


def _class_names(files: Iterable[_LabelFile]) -> list[str]:
    """Return the category names in the order of their ids, file by file, without unused supercategories."""
    names: dict[str, None] = {}
    groups: set[str] = set()
    used: set[str] = set()
    for file in files:
        used_ids = {category_id for item in file.annotations if _is_id(category_id := _get(item, "category_id"))}
        # Ids may be numbers or texts, which cannot be compared with each other.
        for category_id in sorted(file.categories, key=lambda category_id: (str(type(category_id)), category_id)):
            name, group = file.categories[category_id]
            names[name] = None
            used |= {name} if category_id in used_ids else set()
            groups |= {group} if group != name else set()
    return [name for name in names if name in used or name not in groups]


def _annotate(file: _LabelFile, index_of: dict[str, int], folders: tuple[ImageIndex, ...]) -> SplitAnnotations:
    """Return the images of a label file with their boxes."""
    problems: list[Problem] = []
    boxes: dict[object, list[BoxAnnotation]] = {}
    images: list[tuple[object, str, tuple[int, int] | None]] = []
    for number, image in enumerate(file.images, 1):
        image_id, name = _get(image, "id"), _get(image, "file_name")
        if not _is_id(image_id) or not isinstance(name, str) or not name.strip():
            problems.append(Problem(file.path, f"image {number} has no id or no file_name; dropped"))
        elif image_id in boxes:
            problems.append(Problem(file.path, f"image id {image_id!r} is repeated; {name!r} dropped"))
        else:
            boxes[image_id] = []
            images.append((image_id, name.strip(), _stated_size(image)))
    crowds = _add_boxes(file, index_of, boxes, problems)
    # An image that has only crowds is neither background nor an example of an object.
    crowds_only = {image_id for image_id in crowds if not boxes[image_id]}
    notices: tuple[Problem, ...] = ()
    if crowds:
        images_ignored = f", and {len(crowds_only)} images with only crowds" if crowds_only else ""
        notices = (Problem(file.path, f"{len(crowds)} crowd boxes ignored{images_ignored}"),)
    return SplitAnnotations(
        tuple(
            ImageAnnotations(file.path, name, folders, tuple(boxes[image_id]), stated_size=size)
            for image_id, name, size in images
            if image_id not in crowds_only
        ),
        tuple(problems),
        notices=notices,
    )


def _add_boxes(
    file: _LabelFile, index_of: dict[str, int], boxes: dict[object, list[BoxAnnotation]], problems: list[Problem]
) -> list[object]:
    """Append the boxes of a label file to ``boxes`` by image id; return the image id of each crowd."""
    crowds: list[object] = []
    for number, item in enumerate(file.annotations, 1):
        annotation_id, image_id, category_id = (_get(item, key) for key in ("id", "image_id", "category_id"))
        location = f"annotation {annotation_id if _is_id(annotation_id) else number}"
        box = _bbox_to_xyxy(_get(item, "bbox"))
        fault = ""
        if not _is_id(image_id) or image_id not in boxes:
            fault = f"image {image_id!r} is not in the file"
        elif _get(item, "iscrowd") == 1:
            crowds.append(image_id)
        elif not _is_id(category_id) or category_id not in file.categories:
            fault = f"category {category_id!r} is not in the file"
        elif box is None:
            fault = "bbox is not four numbers"
        else:
            name = file.categories[category_id][0]
            boxes[image_id].append(BoxAnnotation(index_of[name], box, f"{location} ({name})"))
        if fault:
            problems.append(Problem(file.path, f"{location}: {fault}; dropped"))
    return crowds


def _image_folders(path: Path, root: Path, split: str) -> tuple[ImageIndex, ...]:
    """Return the folders that may have the images of a label file, most likely first."""
    own_name = path.stem.removeprefix("instances_")
    folders = [base / name for name in ([own_name, split] if split else [own_name]) for base in (root / "images", root)]
    folders += [path.parent, path.parent / "images", path.parent / "data", root / "images", root / "data", root]
    return tuple(ImageIndex(folder) for folder in dict.fromkeys(folders) if folder.is_dir())


def _stated_size(image: object) -> tuple[int, int] | None:
    """Return (height, width), or None: some tools omit them or write 0."""
    height, width = _get(image, "height"), _get(image, "width")
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return height, width
    return None


def _bbox_to_xyxy(value: object) -> tuple[float, float, float, float] | None:
    """Return the corners of (xmin, ymin, width, height), or None if it is not four numbers."""
    if not isinstance(value, list) or len(value) != 4 or not all(_is_number(number) for number in value):
        return None
    try:
        xmin, ymin, width, height = (float(number) for number in value)
    except OverflowError:
        return None
    return xmin, ymin, xmin + width, ymin + height


def _get(item: object, key: str) -> Any:
    return item.get(key) if isinstance(item, dict) else None


def _is_id(value: object) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
