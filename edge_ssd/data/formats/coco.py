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

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "COCO JSON"
FILES = "*.json with images, annotations and categories"

_LISTS = [re.compile(rb'"%s"\s{0,40}:\s{0,40}\[' % key) for key in (b"images", b"annotations", b"categories")]


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is a COCO JSON file, else ``NONE``."""
    return Match.SURE if any(map(_looks_like_coco, tree.files(".json"))) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for a file that is not COCO JSON."""
    paths = [path for path in tree.files(".json") if _looks_like_coco(path)]
    # COCO has files with captions and keypoints of the same images beside those with boxes.
    paths = [path for path in paths if path.name.startswith("instances_")] or paths
    pairs, notices = select_label_files(tree, paths)
    files = [_read(path) for _, path in pairs]
    names = _class_names(files)
    index_of = {name: index for index, name in enumerate(names)}
    images: list[ImageAnnotations] = []
    problems: list[Problem] = []
    for (split, _), file in zip(pairs, files, strict=True):
        images += _annotate(file, index_of, split, problems, notices)
    return ParsedDataset(tuple(names), tuple(images), tuple(problems), tuple(notices))


@dataclass(frozen=True)
class _LabelFile:
    """Content of a label file; ``categories`` maps an id to (name, supercategory or "")."""

    path: Path
    images: list[Any]
    annotations: list[Any]
    categories: dict[object, tuple[str, str]]


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
        category_id, name, group = _id(category, "id"), _get(category, "name"), _get(category, "supercategory")
        if category_id is None or not isinstance(name, str) or not name.strip():
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
        used_ids = {_id(item, "category_id") for item in file.annotations}
        # Ids may be numbers or texts, which cannot be compared with each other.
        for category_id in sorted(file.categories, key=lambda category_id: (str(type(category_id)), category_id)):
            name, group = file.categories[category_id]
            names[name] = None
            used |= {name} if category_id in used_ids else set()
            groups |= {group} if group != name else set()
    return [name for name in names if name in used or name not in groups]


def _annotate(
    file: _LabelFile, index_of: dict[str, int], split: str, problems: list[Problem], notices: list[Problem]
) -> list[ImageAnnotations]:
    """Return the images of a label file with their boxes, and append its other faults and facts to the lists."""
    boxes: dict[object, list[BoxAnnotation]] = {}
    images: list[tuple[object, str, tuple[int, int] | None]] = []
    for number, image in enumerate(file.images, 1):
        image_id, name = _id(image, "id"), _get(image, "file_name")
        if image_id is None or not isinstance(name, str) or not name.strip():
            problems.append(Problem(file.path, f"image {number} has no id or no file_name; dropped"))
        elif image_id in boxes:
            problems.append(Problem(file.path, f"image id {image_id!r} is repeated; {name!r} dropped"))
        else:
            boxes[image_id] = []
            images.append((image_id, name.strip(), _stated_size(image)))
    faults: dict[object, str] = {}
    crowds = _add_boxes(file, index_of, boxes, faults, problems)
    # An image that has only crowds is neither background nor an example of an object.
    crowds_only = {image_id for image_id in crowds if not boxes[image_id]}
    if crowds:
        images_ignored = f", and {len(crowds_only)} images with only crowds" if crowds_only else ""
        notices.append(Problem(file.path, f"{len(crowds)} crowd boxes ignored{images_ignored}"))
    return [
        ImageAnnotations(
            file.path, name, tuple(boxes[image_id]), split, stated_size=size, fault=faults.get(image_id, "")
        )
        for image_id, name, size in images
        if image_id not in crowds_only
    ]


def _add_boxes(
    file: _LabelFile,
    index_of: dict[str, int],
    boxes: dict[object, list[BoxAnnotation]],
    faults: dict[object, str],
    problems: list[Problem],
) -> list[object]:
    """Append the boxes of a label file to ``boxes`` by image id; return the image id of each crowd."""
    crowds: list[object] = []
    for number, item in enumerate(file.annotations, 1):
        annotation_id, image_id, category_id = (_id(item, key) for key in ("id", "image_id", "category_id"))
        location = f"annotation {number if annotation_id is None else annotation_id}"
        box = _bbox_to_xyxy(_get(item, "bbox"))
        if image_id is None or image_id not in boxes:
            message = f"{location}: image {_get(item, 'image_id')!r} is not in the file; dropped"
            problems.append(Problem(file.path, message))
        elif _get(item, "iscrowd") == 1:
            crowds.append(image_id)
        elif category_id is None or category_id not in file.categories:
            faults.setdefault(image_id, f"{location}: category {_get(item, 'category_id')!r} is not in the file")
        elif box is None:
            faults.setdefault(image_id, f"{location}: bbox is not four numbers")
        else:
            name = file.categories[category_id][0]
            boxes[image_id].append(BoxAnnotation(index_of[name], box, f"{location} ({name})"))
    return crowds


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


def _id(item: object, key: str) -> int | str | None:
    """Return an id, or None. Some tools write the same id as a number in one list and as a text in another."""
    value = _get(item, key)
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\d{1,18}", value) else value
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
