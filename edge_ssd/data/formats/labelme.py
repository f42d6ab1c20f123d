"""LabelMe: one JSON file for each image, beside it or in another folder.

    a.jpg, a.json                        a dataset without splits
    train/a.jpg, train/a.json, val/ …    with splits

Source: https://github.com/wkentaro/labelme. X-AnyLabeling writes the same files, also with rotated boxes. An image is
found by the name of its label file, then by its ``imagePath``. The box of a mask is the one stated with it. Shapes that
are parts of one object (polygons and masks with one label and ``group_id``) give one box.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.file_limits import read_label_file
from edge_ssd.data.label_files.json_kind import json_files
from edge_ssd.data.label_files.json_values import get, get_text, parse_json, stated_size, to_name, to_points
from edge_ssd.data.label_files.object_reader import NotAnObject, ObjectReader, Shape
from edge_ssd.data.label_files.shapes import Box, enclose_points
from edge_ssd.data.split_names import SPLIT_OF_WORD, split_from_folders

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "LabelMe"
FILES = "*.json with shapes, one for each image"

_NOT_OBJECTS = frozenset({"point", "points", "line", "linestrip"})
# LabelMe's own labels of regions to leave out.
_NO_CLASSES = frozenset({"__ignore__", "_background_"})


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` for label files that are divided into splits, ``LIKELY`` for others, else ``NONE``."""
    paths = json_files(tree, "labelme")
    if not paths:
        return Match.NONE
    listed = any(path.stem.lower() in SPLIT_OF_WORD for path in tree.files(".txt"))
    return Match.SURE if listed or any(split_from_folders(tree.folder_parts(path)) for path in paths) else Match.LIKELY


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every image. The classes are in alphabetical order."""
    reader = ObjectReader()
    paths = json_files(tree, "labelme")
    # A damaged file beside them is that of an image, not of another program, if there is such an image.
    folders, stems = {path.parent for path in paths}, {path.stem for path in tree.images()}
    paths += [path for path in json_files(tree, "invalid") if path.parent in folders and path.stem in stems]
    images = [_annotate(path, reader) for path in sorted(paths)]
    return reader.dataset(tree.root, images, label_file_per_image=True)


def _annotate(path: Path, reader: ObjectReader) -> ImageAnnotations:
    try:
        data = parse_json(read_label_file(path))
        shapes = get(data, "shapes")
        if not isinstance(shapes, list):
            raise ValueError("no list of shapes")
    except (OSError, ValueError) as error:
        return ImageAnnotations(path, path.stem, stem=path.stem, fault=f"not a LabelMe file ({error})")
    boxes, fault = reader.read(_group(shapes), _parse_object, "shape")
    # An image is often renamed together with its label file, while the name inside the file stays.
    file_name = get_text(data, "imagePath") or path.stem
    size = stated_size(get(data, "imageHeight"), get(data, "imageWidth"))
    return ImageAnnotations(path, file_name, boxes, stem=path.stem, stated_size=size, fault=fault)


def _group(shapes: Iterable[Any]) -> list[list[Any]]:
    """Return the shapes of each object."""
    objects: dict[object, list[Any]] = {}
    for number, shape in enumerate(shapes):
        group = get(shape, "group_id")
        is_part = isinstance(group, (int, str)) and get_text(shape, "shape_type") in ("polygon", "mask")
        key = (str(get(shape, "label")), group) if is_part else number
        objects.setdefault(key, []).append(shape)
    return list(objects.values())


def _parse_object(shapes: list[Any]) -> Shape:
    parts = [_parse_shape(shape) for shape in shapes]
    if len(parts) == 1:
        return parts[0]
    box = enclose_points(point for part in parts for point in (part.box_xyxy[:2], part.box_xyxy[2:]))
    return Shape(parts[0].label, box, enclosing=True)


def _parse_shape(shape: object) -> Shape:
    kind = get_text(shape, "shape_type") or "polygon"  # older files have polygons only
    label = to_name(get(shape, "label"))
    if kind in _NOT_OBJECTS:
        raise NotAnObject(re.sub(r"s$", "", kind))
    if label in _NO_CLASSES:
        raise NotAnObject(label)
    points = to_points(get(shape, "points"))
    if kind == "rectangle":
        return Shape(label, *_enclose_rectangle(points))
    if kind == "circle":
        if len(points) != 2:
            raise ValueError(f"a circle has a center and a point on it, got {len(points)} points")
        (x, y), edge = points
        radius = math.dist((x, y), edge)
        return Shape(label, enclose_points([(x - radius, y - radius), (x + radius, y + radius)]), enclosing=True)
    # A polygon, a rotated box or another shape that its points surround; of a mask, the corners of its box.
    return Shape(label, enclose_points(points), enclosing=True)


def _enclose_rectangle(points: list[tuple[float, float]]) -> tuple[Box, bool]:
    """Return the box of two opposite or four corners, and whether it is larger than their rectangle."""
    if len(points) not in (2, 4):
        raise ValueError(f"a rectangle has 2 or 4 corners, got {len(points)}")
    xs, ys = zip(*points, strict=True)
    if not all(map(math.isfinite, (*xs, *ys))):
        return (xs[0], ys[0], xs[-1], ys[-1]), False
    is_upright = len(points) == 2 or (len(set(xs)) <= 2 and len(set(ys)) <= 2)
    return (min(xs), min(ys), max(xs), max(ys)), not is_upright
