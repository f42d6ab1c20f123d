"""Content of one COCO JSON file, with the ids of its lists brought to one form.

Source: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ssd.data.label_files.json_values import (
    get,
    get_text,
    load_json,
    rotate_box,
    to_name,
    to_numbers,
    to_points,
    xywh_to_xyxy,
)
from edge_ssd.data.label_files.rle import enclose_rle
from edge_ssd.data.label_files.shapes import Box, enclose_points
from edge_ssd.errors import DataError

__all__ = ["CocoFile", "enclose_object", "get_id", "image_name", "read_coco"]


@dataclass(frozen=True)
class CocoFile:
    """Content of a label file.

    Attributes:
        images, annotations: as stated; ``annotations`` is None for a file that only lists images.
        categories: id → (name, supercategory or "").
    """

    path: Path
    images: list[Any]
    annotations: list[Any] | None
    categories: dict[object, tuple[str, str]]


def read_coco(path: Path) -> CocoFile:
    """Read a label file; raise DataError if it is not COCO JSON."""
    data = load_json(path)
    images, annotations, categories = (get(data, key) for key in ("images", "annotations", "categories"))
    if not (isinstance(images, list) and isinstance(annotations, (list, type(None))) and isinstance(categories, list)):
        raise DataError(f"{path}: not COCO JSON: expected the lists images, annotations and categories")
    names: dict[object, tuple[str, str]] = {}
    for category in categories:
        try:
            category_id, name = get_id(category, "id"), to_name(get(category, "name"))
        except ValueError:
            category_id, name = None, ""
        if category_id is None:
            raise DataError(f"{path}: a category needs an id and a name, got {category!r:.80}")
        if category_id in names:
            raise DataError(f"{path}: category id {category_id!r} is repeated: export the labels again")
        names[category_id] = name, get_text(category, "supercategory")
    return CocoFile(path, images, annotations, names)


def get_id(item: object, key: str) -> int | str | None:
    """Return an id, or None. Some tools write the same id as a number in one list and as a text or 1.0 in another."""
    value = get(item, key)
    if type(value) is int:
        return value
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\d{1,18}", value) else value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None


def image_name(image: object) -> str:
    """Return the file name or path of an image, or "": some tools write only a path or an address."""
    return get_text(image, "file_name", "path", "coco_url", "flickr_url")


def enclose_object(annotation: object, image_size: tuple[int, int] | None = None) -> tuple[Box, bool]:
    """Return the box of an annotation, and whether it encloses another shape; raise ValueError if there is none.

    The box is ``bbox``, which CVAT may rotate by ``attributes.rotation``. Without it, ``segmentation`` is enclosed,
    a mask in an image of ``image_size`` (height, width).
    """
    try:
        numbers = to_numbers(get(annotation, "bbox"), 4)
    except ValueError:
        numbers = []
    shape = get(annotation, "segmentation")
    if any(numbers) or (numbers and not shape):
        return rotate_box(xywh_to_xyxy(numbers), get(get(annotation, "attributes"), "rotation"))
    if isinstance(shape, dict):
        return enclose_rle(shape, image_size), True
    if not isinstance(shape, list) or not shape:
        raise ValueError("bbox is not four numbers")
    return enclose_points(_polygon_points(shape)), True


def _polygon_points(polygons: list[Any]) -> Iterator[tuple[float, float]]:
    for polygon in polygons if isinstance(polygons[0], list) else [polygons]:
        yield from to_points(polygon)
