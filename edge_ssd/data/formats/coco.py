"""COCO JSON: one file a split, that lists pictures, boxes and categories.

    annotations/instances_train2017.json …    pictures in train2017/, images/train2017/, images/train/ or images/
    train/_annotations.coco.json …            each beside its pictures (Roboflow's export)
    result.json, images/                      a set without splits

Source: https://cocodataset.org/#format-data. A box is (xmin, ymin, width, height) in pixels. Categories are named by
ids that may have gaps; class names come in the order of these ids. Boxes of crowds surround many objects at once and
are left out, as in COCO's own evaluation of training data.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ssd.data.dataset import Problem
from edge_ssd.data.formats.annotations import (
    BoxAnnotation,
    ImageAnnotations,
    ImageIndex,
    ParsedDataset,
    SplitAnnotations,
    split_from_suffix,
    split_from_words,
)
from edge_ssd.errors import DataError

__all__ = ["parse", "sniff"]

_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_A_LIST = re.compile(rb"\s{0,40}:\s{0,40}\[")


def sniff(folder: Path) -> bool:
    """Whether there is a JSON file that lists images, annotations or categories in one of the three places."""
    return bool(_files(folder))


def parse(folder: Path) -> ParsedDataset:
    """Read every split; raises DataError for a file that is no COCO JSON."""
    files = {split: _parse(path) for split, path in _files(folder).items()}
    names = _names(files.values())
    index_of = {name: index for index, name in enumerate(names)}
    return ParsedDataset(tuple(names), {split: _part(file, index_of, folder, split) for split, file in files.items()})


@dataclass(frozen=True)
class _File:
    """The three lists of a file; ``categories`` is id → (name, its group's name or "")."""

    path: Path
    images: list[Any]
    annotations: list[Any]
    categories: dict[object, tuple[str, str]]


def _files(folder: Path) -> dict[str, Path]:
    """The files by split; raises DataError where several claim to be the same."""
    for place in (folder, folder / "annotations"):
        paths = [path for path in sorted(place.glob("*.json")) if _looks_like_coco(path)]
        # COCO keeps captions and keypoints of the same pictures beside them.
        paths = [path for path in paths if path.name.startswith("instances_")] or paths
        if paths:
            if len(paths) == 1 and not split_from_words(paths[0].stem):
                return {split_from_suffix(folder.resolve().name): paths[0]}
            return _by_split(folder, ((split_from_words(path.stem), path) for path in paths))
    if not folder.is_dir():
        return {}
    return _by_split(
        folder,
        (
            (split_from_suffix(place.name), path)
            for place in sorted(folder.iterdir())
            if place.is_dir() and split_from_suffix(place.name)
            for path in sorted(place.glob("*.json"))
            if _looks_like_coco(path)
        ),
    )


def _by_split(folder: Path, paths: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    undivided: list[Path] = []
    for split, path in paths:
        if not split:
            undivided.append(path)
        elif split in found:
            raise DataError(
                f"{folder}: both {found[split].name} and {path.name} hold {split} labels: "
                "give each data set a folder of its own"
            )
        else:
            found[split] = path
    if not found and len(undivided) > 1:
        names = ", ".join(path.name for path in undivided[:3])
        raise DataError(
            f"{folder}: {len(undivided)} COCO files ({names}) and none is named as a split: "
            "name them train.json, val.json, test.json, or keep one"
        )
    return found or ({"": undivided[0]} if undivided else {})


def _looks_like_coco(path: Path) -> bool:
    """Whether the file has two of the three lists; it is searched, not parsed, since some are half a gigabyte."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return sum(_has_list(text, key) for key in _KEYS) >= 2
    except (OSError, ValueError):  # ValueError: it is empty
        return False


def _has_list(text: mmap.mmap, key: bytes) -> bool:
    at = text.find(key)
    while at >= 0:
        if _A_LIST.match(text, at + len(key)):
            return True
        at = text.find(key, at + 1)
    return False


def _parse(path: Path) -> _File:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON ({error}): export the labels again") from None
    lists = [data.get(key) if isinstance(data, dict) else None for key in ("images", "annotations", "categories")]
    # A test split may come without annotations.
    images, annotations, categories = lists[0], [] if lists[1] is None else lists[1], lists[2]
    if not (isinstance(images, list) and isinstance(annotations, list) and isinstance(categories, list)):
        raise DataError(f"{path}: no COCO JSON: expected the lists images, annotations and categories")
    names: dict[object, tuple[str, str]] = {}
    for category in categories:
        number, name = _get(category, "id"), _get(category, "name")
        if not _is_id(number) or not isinstance(name, str) or not name.strip():
            raise DataError(f"{path}: a category needs an id and a name, got {category!r:.80}")
        if number in names:
            raise DataError(f"{path}: category id {number!r} is given twice: export the labels again")
        group = _get(category, "supercategory")
        names[number] = (name.strip(), group.strip() if isinstance(group, str) else "")
    return _File(path, images, annotations, names)


def _names(files: Iterable[_File]) -> list[str]:
    """Class names in the order of their ids, the first file's first, without those that only group others."""
    names: dict[str, None] = {}
    groups: set[str] = set()
    used: set[str] = set()
    for file in files:
        ids = {number for item in file.annotations if _is_id(number := _get(item, "category_id"))}
        for number, (name, group) in sorted(file.categories.items(), key=lambda item: (str(type(item[0])), item[0])):
            names[name] = None
            used |= {name} if number in ids else set()
            groups |= {group} if group != name else set()
    return [name for name in names if name in used or name not in groups]


def _part(file: _File, index_of: dict[str, int], root: Path, split: str) -> SplitAnnotations:
    folders = _picture_folders(file.path, root, split)
    problems: list[Problem] = []
    objects: dict[object, list[BoxAnnotation]] = {}
    records: list[tuple[object, str, tuple[int, int] | None]] = []
    for number, image in enumerate(file.images, 1):
        image_id, name = _get(image, "id"), _get(image, "file_name")
        if not _is_id(image_id) or not isinstance(name, str) or not name.strip():
            problems.append(Problem(file.path, f"image {number} lacks an id or a file_name; dropped"))
        elif image_id in objects:
            problems.append(Problem(file.path, f"image id {image_id!r} is given twice; {name!r} is dropped"))
        else:
            objects[image_id] = []
            records.append((image_id, name.strip(), _size(image)))
    crowded: set[object] = set()
    crowds = 0
    for number, item in enumerate(file.annotations, 1):
        where = f"annotation {_get(item, 'id') if _is_id(_get(item, 'id')) else number}"
        image_id, category = _get(item, "image_id"), _get(item, "category_id")
        box = _box(_get(item, "bbox"))
        if not _is_id(image_id) or image_id not in objects:
            problems.append(Problem(file.path, f"{where} is for image {image_id!r}, which the file lacks; dropped"))
        elif _get(item, "iscrowd") == 1:
            crowds += 1
            crowded.add(image_id)
        elif not _is_id(category) or category not in file.categories:
            problems.append(Problem(file.path, f"{where} is of category {category!r}, which has no name; dropped"))
        elif box is None:
            problems.append(Problem(file.path, f"{where} lacks a bbox of four numbers; dropped"))
        else:
            name = file.categories[category][0]
            objects[image_id].append(BoxAnnotation(index_of[name], box, f"{where} ({name})"))
    # A picture of nothing but a crowd is no background, and of no other use.
    left_out = {image_id for image_id in crowded if not objects[image_id]}
    notices: tuple[Problem, ...] = ()
    if crowds:
        without = f", and {len(left_out)} pictures of nothing else" if left_out else ""
        notices = (Problem(file.path, f"{crowds} boxes of crowds left out{without}"),)
    return SplitAnnotations(
        tuple(
            ImageAnnotations(file.path, name, folders, tuple(objects[image_id]), stated_size=size)
            for image_id, name, size in records
            if image_id not in left_out
        ),
        tuple(problems),
        notices=notices,
    )


def _picture_folders(path: Path, root: Path, split: str) -> tuple[ImageIndex, ...]:
    """Where the pictures of a file may lie, most likely first."""
    own = path.stem.removeprefix("instances_")
    candidates = [
        base / name for name in dict.fromkeys([own, *([split] if split else [])]) for base in (root / "images", root)
    ]
    candidates += [path.parent, path.parent / "images", path.parent / "data", root / "images", root / "data", root]
    return tuple(ImageIndex(folder) for folder in dict.fromkeys(candidates) if folder.is_dir())


def _size(image: object) -> tuple[int, int] | None:
    """(height, width) as stated; some tools leave it out or write 0."""
    height, width = _get(image, "height"), _get(image, "width")
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return height, width
    return None


def _box(value: object) -> tuple[float, float, float, float] | None:
    """The corners of (xmin, ymin, width, height); None for anything but four numbers."""
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
