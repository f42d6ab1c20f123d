"""VGG Image Annotator (VIA): a project, exported annotations as JSON, or the same as CSV.

    via_project.json, a.jpg …             a dataset without splits
    train/via_region_data.json, val/ …    a file for each split

An attribute of the regions names the class: the only one; of several, the one called label, class, name or type, else
one that all regions have. The classes are in the order of that attribute's options if the file states them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.json_kind import json_files
from edge_ssd.data.label_files.json_values import get, get_text, to_name, to_number, to_numbers, xywh_to_xyxy
from edge_ssd.data.label_files.object_reader import NotAnObject, ObjectReader, Shape
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.shapes import Box, enclose_ellipse, enclose_points
from edge_ssd.data.label_files.via_files import ViaFile, has_via_columns, read_via_csv, read_via_json

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "VGG Image Annotator"
FILES = "*.json or *.csv with region_attributes"

# Names of the attribute that holds the class, the most likely first.
_CLASS_ATTRIBUTES = ("label", "class", "classname", "category", "name", "type", "object", "species")
_DEFAULT_VALUES = ("not_defined", "unknown", "undefined")
_NOT_OBJECTS = frozenset({"point", "line", "polyline"})
_ONLY_CLASS = "class_0"


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is a VIA file, else ``NONE``."""
    return Match.SURE if _label_files(tree) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every image; raise DataError for an invalid file."""
    pairs, notices = select_label_files(tree, _label_files(tree), several=True)
    files = [
        (split, read_via_csv(path) if path.suffix.lower() == ".csv" else read_via_json(path)) for split, path in pairs
    ]
    attribute, others = _class_attribute([file for _, file in files])
    options = {key: text for _, file in files for key, text in file.options.get(attribute or "", {}).items()}
    # An option with a number for its id is named by its description.
    names = {key: text.strip() if key.isdigit() and text.strip() else key for key, text in options.items()}
    reader = ObjectReader(names.values())
    parse_region = _region_parser(attribute, names)
    images = [image for split, file in files for image in _annotate(file, split, reader, parse_region)]
    if others:
        message = f"the classes are the values of the attribute {attribute!r}, not of {', '.join(map(repr, others))}"
        notices.append(Problem(tree.root, message))
    return reader.dataset(tree.root, images, (), notices, has_class_names=attribute is not None, box_layout="xywh")


def _label_files(tree: FileTree) -> list[Path]:
    """Return the label files, those that state most first."""
    return [*json_files(tree, "via", "via3"), *(path for path in tree.files(".csv") if has_via_columns(path))]


def _class_attribute(files: Sequence[ViaFile]) -> tuple[str | None, list[str]]:
    """Return the attribute that names the class, or None if no region has one; and the other attributes."""
    values: dict[str, list[object]] = {}
    regions = [region for file in files for image in file.images for region in image.regions]
    for region in regions:
        attributes = get(region, "region_attributes")
        for key, value in attributes.items() if isinstance(attributes, dict) else ():
            if value not in (None, "", {}):
                values.setdefault(key, []).append(value)
    # VIA's demonstration has attributes with these values, which are often left as they are.
    stated = [key for key, own in values.items() if any(value not in _DEFAULT_VALUES for value in own)] or list(values)
    if not stated:
        return None, []
    by_name = {name.lower().replace("_", "").replace(" ", ""): name for name in stated}
    named = [by_name[name] for name in _CLASS_ATTRIBUTES if name in by_name]
    everywhere = [name for name in stated if len(values[name]) == len(regions)]
    chosen = (named or everywhere or [max(stated, key=lambda name: len(values[name]))])[0]
    return chosen, [name for name in stated if name != chosen]


def _annotate(
    file: ViaFile, split: str, reader: ObjectReader, parse_region: Callable[[Any], Shape]
) -> Iterator[ImageAnnotations]:
    for image in file.images:
        boxes, fault = reader.read(image.regions, parse_region, "region")
        unstated = "" if boxes else "regions"
        yield ImageAnnotations(
            file.path, image.name.strip(), boxes, split, fault=fault or image.fault, unstated=unstated
        )


def _region_parser(attribute: str | None, names: dict[str, str]) -> Callable[[Any], Shape]:
    def parse_region(region: object) -> Shape:
        shape, attributes = get(region, "shape_attributes"), get(region, "region_attributes")
        kind = get_text(shape, "name")
        if kind in _NOT_OBJECTS:
            raise NotAnObject(kind)
        label = _ONLY_CLASS if attribute is None else _class_name(get(attributes, attribute), names)
        return Shape(label, _enclose(shape, kind), kind != "rect")

    return parse_region


def _class_name(value: object, names: dict[str, str]) -> str:
    if isinstance(value, dict):  # of check boxes: {"fork": true}
        chosen = [name for name, is_chosen in value.items() if is_chosen]
        if len(chosen) > 1:
            raise ValueError(f"it has several classes: {', '.join(chosen)}")
        value = chosen[0] if chosen else None
    name = to_name(value)
    return names.get(name, name)


def _enclose(shape: Any, kind: str) -> Box:
    if kind == "rect":
        return xywh_to_xyxy([to_number(get(shape, key)) for key in ("x", "y", "width", "height")])
    if kind == "polygon":
        xs, ys = (to_numbers(get(shape, key)) for key in ("all_points_x", "all_points_y"))
        if len(xs) != len(ys):
            raise ValueError(f"a polygon with {len(xs)} x and {len(ys)} y")
        return enclose_points(zip(xs, ys, strict=True))
    if kind == "circle":
        x, y, radius = (to_number(get(shape, key)) for key in ("cx", "cy", "r"))
        return enclose_ellipse(x, y, radius, radius)
    if kind == "ellipse":
        x, y, radius_x, radius_y = (to_number(get(shape, key)) for key in ("cx", "cy", "rx", "ry"))
        return enclose_ellipse(x, y, radius_x, radius_y, math.degrees(to_number(get(shape, "theta") or 0)))
    raise ValueError(f"unsupported shape {kind or shape!r:.40}")
