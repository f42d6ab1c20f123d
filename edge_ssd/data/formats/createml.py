"""CreateML JSON: a list of images with their annotations.

    train/_annotations.createml.json …    each beside its images (Roboflow's export)
    annotations.json, images/             a dataset without splits

Source: Apple, "Building an object detector data source". The coordinates of a box are its center and its size in
pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.json_kind import json_files
from edge_ssd.data.label_files.json_values import get, get_text, load_json, to_name, to_number
from edge_ssd.data.label_files.object_reader import ObjectReader, Shape
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "CreateML JSON"
FILES = "*.json with a list of images and their annotations"


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is a CreateML file, else ``NONE``."""
    return Match.SURE if json_files(tree, "createml") else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every image, the classes in alphabetical order; raise DataError for invalid JSON."""
    pairs, notices = select_label_files(tree, json_files(tree, "createml"), several=True)
    reader = ObjectReader()
    problems: list[Problem] = []
    images = [image for split, path in pairs for image in _annotate(path, split, reader, problems)]
    return reader.dataset(tree.root, images, problems, notices, box_layout="cxcywh")


def _annotate(path: Path, split: str, reader: ObjectReader, problems: list[Problem]) -> Iterator[ImageAnnotations]:
    entries = load_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path}: not CreateML JSON: expected a list of images")
    for number, entry in enumerate(entries, 1):
        name = get_text(entry, "image", "imagefilename", "imageURL")
        if not name:
            problems.append(Problem(path, f"image {number} has no name; dropped"))
            continue
        objects = get(entry, "annotations", "annotation")
        if isinstance(objects, list):
            boxes, fault = reader.read(objects, _parse_annotation, f"image {number}, annotation")
        else:
            boxes, fault = (
                (),
                f"image {number}: {'no annotations' if objects is None else 'its annotations are not a list'}",
            )
        yield ImageAnnotations(path, name, boxes, split, fault=fault)


def _parse_annotation(annotation: object) -> Shape:
    label = to_name(get(annotation, "label"))
    coordinates = get(annotation, "coordinates")
    x, y, width, height = (to_number(get(coordinates, key)) for key in ("x", "y", "width", "height"))
    return Shape(label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
