"""Datumaro JSON: one file for each subset, as CVAT exports it.

    annotations/train.json …, images/train/ …    a file and a folder for each subset
    annotations/default.json, images/default/    a dataset without splits

Source: https://github.com/openvinotoolkit/datumaro, "Datumaro format". A rotated box has its angle in
``attributes.rotation``, in degrees clockwise around its center. Labels of whole images are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.ignored_regions import ignored_kind
from edge_ssd.data.label_files.json_kind import json_files
from edge_ssd.data.label_files.json_values import (
    get,
    get_text,
    load_json,
    rotate_box,
    stated_size,
    to_name,
    to_numbers,
    to_points,
    xywh_to_xyxy,
)
from edge_ssd.data.label_files.object_reader import IgnoredRegion, NotAnObject, ObjectReader, Shape
from edge_ssd.data.label_files.rle import enclose_rle
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.shapes import enclose_points
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "Datumaro JSON"
FILES = "*.json with categories.label and items"

_OF_WHOLE_IMAGES = frozenset({"label", "caption", "hash_key"})
_NOT_OBJECTS = frozenset({"points", "polyline", "cuboid_3d"})


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is a Datumaro file, else ``NONE``."""
    return Match.SURE if json_files(tree, "datumaro") else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every subset; raise DataError for a file that is not Datumaro JSON."""
    pairs, notices = select_label_files(tree, json_files(tree, "datumaro"), several=True)
    files = [(split, path, load_json(path)) for split, path in pairs]
    names = [_class_names(path, data) for _, path, data in files]
    reader = ObjectReader(name for own in names for name in own)
    problems: list[Problem] = []
    images = [
        image
        for (split, path, data), own in zip(files, names, strict=True)
        for image in _annotate(path, split, data, own, reader, problems)
    ]
    return reader.dataset(tree.root, images, problems, notices, box_layout="xywh")


def _class_names(path: Path, data: object) -> list[str]:
    labels = get(get(get(data, "categories"), "label"), "labels")
    if not isinstance(labels, list) or not isinstance(get(data, "items"), list):
        raise DataError(f"{path}: not Datumaro JSON: expected the lists categories.label.labels and items")
    try:
        return [to_name(get(label, "name")) for label in labels]
    except ValueError as error:
        raise DataError(f"{path}: every label of categories.label.labels needs a name: {error}") from None


def _annotate(
    path: Path, split: str, data: Any, names: Sequence[str], reader: ObjectReader, problems: list[Problem]
) -> Iterator[ImageAnnotations]:
    for number, item in enumerate(data["items"], 1):
        image = get(item, "image", "media", "video_frame")
        name, annotations = get(image, "path") or get(item, "id"), get(item, "annotations")
        if not isinstance(name, (str, int)) or not str(name).strip():
            problems.append(Problem(path, f"item {number} has no image.path and no id; dropped"))
            continue
        size = get(image, "size")
        size = stated_size(*size) if isinstance(size, list) and len(size) == 2 else None
        if isinstance(annotations, list):
            objects = [annotation for annotation in annotations if get_text(annotation, "type") not in _OF_WHOLE_IMAGES]
            boxes, fault = reader.read(objects, _parser(names, size), f"item {number}, annotation")
        else:
            boxes, fault = (
                (),
                f"item {number}: {'no annotations' if annotations is None else 'its annotations are not a list'}",
            )
        yield ImageAnnotations(path, str(name).strip(), boxes, split, stated_size=size, fault=fault)


def _parser(names: Sequence[str], image_size: tuple[int, int] | None) -> Callable[[Any], Shape]:
    def parse_annotation(annotation: object) -> Shape:
        kind, label_id = get_text(annotation, "type"), get(annotation, "label_id")
        if kind in _NOT_OBJECTS:
            raise NotAnObject(kind)
        attributes = get(annotation, "attributes")
        for key, value in attributes.items() if isinstance(attributes, dict) else ():
            if ignored := ignored_kind(key, value):
                raise IgnoredRegion(ignored)
        if not isinstance(label_id, int) or not 0 <= label_id < len(names):
            raise ValueError(f"label_id {label_id!r} is not in categories.label.labels")
        label = names[label_id]
        if kind == "bbox":
            box = xywh_to_xyxy(to_numbers(get(annotation, "bbox"), 4))
            return Shape(label, *rotate_box(box, get(attributes, "rotation")))
        if kind == "mask":
            return Shape(label, enclose_rle(get(annotation, "rle"), image_size), enclosing=True)
        if kind in ("polygon", "ellipse", "cuboid_2d"):  # an ellipse is stated by the corners of its box
            return Shape(label, enclose_points(to_points(get(annotation, "points"))), enclosing=True)
        raise ValueError(f"unsupported type {kind!r:.40}")

    return parse_annotation
