"""DOTA: one text file per image, with the four corners of a rotated box per line.

    labelTxt/P0001.txt, images/P0001.png
    data.yaml, train/labelTxt/a.txt, train/images/a.jpg                     Roboflow's "YOLOv8 OBB" of older versions
    imagesource:GoogleEarth                                                 perhaps two such lines first
    2753 2408 2861 2385 2888 2468 2805 2502 plane 0                         corners in pixels, class name, difficulty

Source: https://captain-whu.github.io/DOTA/dataset.html. The box that encloses the corners is used. The classes are in
alphabetical order, or in that of a ``data.yaml`` that names all of them.
"""

from __future__ import annotations

import re

from edge_ssd.data.annotations import ParsedDataset
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.object_reader import Shape
from edge_ssd.data.label_files.shapes import enclose_points
from edge_ssd.data.label_files.text_annotations import annotate_texts, find_label_files
from edge_ssd.data.label_files.yolo_yaml import find_data_yaml, read_data_yaml
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "DOTA"
FILES = "a text file of four corners and a class name per line for each image"

_HEADER = re.compile(r"\s*(imagesource|gsd)\s*:", re.IGNORECASE)
_CORNERS = 8


def sniff(tree: FileTree) -> Match:
    """Return ``LIKELY`` if there are text files of corners and class names, else ``NONE``."""
    return Match.LIKELY if find_label_files(tree, _parse_line) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every image."""
    paths = find_label_files(tree, _parse_line)
    return annotate_texts(tree, paths, _parse_line, class_order=_stated_classes(tree))


def _stated_classes(tree: FileTree) -> tuple[str, ...]:
    try:
        path = find_data_yaml(tree)
    except DataError:  # several
        return ()
    return tuple(read_data_yaml(path, tree.root).names.values()) if path is not None else ()


def _parse_line(line: str) -> Shape | None:
    if _HEADER.match(line):
        return None
    words = line.split()
    numbers = [float(word) for word in words[:_CORNERS]]
    name = re.sub(r"\s+[0-2]$", "", " ".join(words[_CORNERS:]))
    if len(numbers) < _CORNERS or not re.search(r"[^\W\d]", name):
        raise ValueError("expected eight numbers, a class name and a difficulty")
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    box = enclose_points(points)
    upright = set(points) == {(x, y) for x in (box[0], box[2]) for y in (box[1], box[3])}
    return Shape(name, box, enclosing=not upright)
