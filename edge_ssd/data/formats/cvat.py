"""CVAT's own XML, "CVAT for images 1.1": one file for all images of a task.

    annotations.xml, images/a.jpg            also with a folder for each subset: images/Train/a.jpg
    train/annotations.xml, train/a.jpg …     exports of several tasks

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. Rotated boxes, ellipses, polygons, masks and
cuboids are enclosed by a box; points, lines and skeletons are not, and an image that has nothing else is left out.
The classes are in the order of the task's labels. "CVAT for video" describes frames of a video, which are not images.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.shapes import Box, enclose_points, enclose_rotated_box
from edge_ssd.data.split_names import split_from_words
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "CVAT for images"
FILES = "*.xml with <annotations> of <image>"

_ROOT_TAG = re.compile(rb"<annotations[\s>]")
_KNOWN_TAG = re.compile(rb"<(image|track|meta|version)[\s>/]")
# Of an image, but not its objects.
_NO_SHAPES = frozenset({"tag", "attribute"})
_SHAPES_WITHOUT_AREA = frozenset({"points", "polyline", "skeleton"})
_TYPES_WITHOUT_AREA = frozenset({"tag", *_SHAPES_WITHOUT_AREA})


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is an XML file of CVAT, else ``NONE``."""
    return Match.SURE if any(map(_is_cvat, tree.files(".xml"))) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every image; raise DataError for invalid XML, or annotations of a video."""
    pairs, notices = select_label_files(tree, list(filter(_is_cvat, tree.files(".xml"))), several=True)
    files = [_read(path, split) for split, path in pairs]
    used = sorted({name for file in files for _, boxes in file.images for name, _ in boxes})
    stated = [name for file in files for name, is_class in file.labels.items() if is_class or name in used]
    names = tuple(dict.fromkeys((*stated, *used)))
    index_of = {name: index for index, name in enumerate(names)}
    images = []
    for file in files:
        for image, boxes in file.images:
            own = tuple(BoxAnnotation(index_of[name], box.box_xyxy, box.location, box.enclosing) for name, box in boxes)
            images.append(
                ImageAnnotations(
                    file.path, image.file_name, own, image.split, stated_size=image.stated_size, fault=image.fault
                )
            )
        if file.ignored:
            left_out = f", and {file.only_ignored} images with only such shapes" if file.only_ignored else ""
            message = f"{file.ignored} points, lines and skeletons ignored, which have no box{left_out}"
            notices.append(Problem(file.path, message))
    return ParsedDataset(names, tuple(images), notices=tuple(notices))


@dataclass
class _LabelFile:
    """Content of a file.

    Attributes:
        labels: name of each label → whether its shapes have boxes.
        images: each image without its boxes, and its (class name, box).
        ignored: number of shapes without a box; ``only_ignored``: of images with only these.
    """

    path: Path
    labels: dict[str, bool] = field(default_factory=dict)
    images: list[tuple[ImageAnnotations, list[tuple[str, BoxAnnotation]]]] = field(default_factory=list)
    ignored: int = 0
    only_ignored: int = 0


def _is_cvat(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            text = file.read(4096)
    except OSError:
        return False
    root = _ROOT_TAG.search(text)
    return root is not None and _KNOWN_TAG.search(text, root.end()) is not None


def _read(path: Path, split: str) -> _LabelFile:
    file = _LabelFile(path)
    try:
        with path.open("rb") as stream:
            events = ElementTree.iterparse(stream, events=("start", "end"))
            _, root = next(events)
            for event, element in events:
                if event == "start":
                    continue
                if element.tag == "label":
                    _add_label(file, element)
                elif element.tag == "track":
                    raise DataError(
                        f'{path}: it labels frames of a video: export the task as "CVAT for images 1.1" with '
                        '"Save images"'
                    )
                elif element.tag == "image":
                    _add_image(file, element, split)
                    root.clear()  # else a large file takes many times its size in memory
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions") from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"{path}: invalid XML ({error}): export the labels again") from None
    return file


def _add_label(file: _LabelFile, element: ElementTree.Element) -> None:
    name = (element.findtext("name") or "").strip()
    # A label with a parent is a point of a skeleton.
    if name and not (element.findtext("parent") or "").strip():
        file.labels[name] = (element.findtext("type") or "").strip() not in _TYPES_WITHOUT_AREA


def _add_image(file: _LabelFile, element: ElementTree.Element, split: str) -> None:
    boxes: list[tuple[str, BoxAnnotation]] = []
    fault = ""
    ignored = 0
    for number, shape in enumerate((child for child in element if child.tag not in _NO_SHAPES), 1):
        if shape.tag in _SHAPES_WITHOUT_AREA:
            ignored += 1
            continue
        name = (shape.get("label") or "").strip()
        try:
            box, enclosing = _bounding_box(shape)
        except ValueError:
            fault = fault or f"shape {number} (<{shape.tag}>) has no box that can be read"
            continue
        if name:
            boxes.append((name, BoxAnnotation(0, box, f"shape {number} ({name})", enclosing)))
        else:
            fault = fault or f"shape {number} (<{shape.tag}>) has no label"
    file.ignored += ignored
    if ignored and not boxes and not fault:
        file.only_ignored += 1
        return
    name = (element.get("name") or "").strip()
    split = split_from_words(element.get("subset") or "") or split
    image = ImageAnnotations(file.path, name, split=split, stated_size=_stated_size(element), fault=fault)
    file.images.append((image, boxes))


def _bounding_box(shape: ElementTree.Element) -> tuple[Box, bool]:
    """Return the box, xyxy, of a shape, and whether it encloses another one; raise ValueError if it cannot be read."""
    degrees = float(shape.get("rotation") or 0)
    if shape.tag == "box":
        xmin, ymin, xmax, ymax = _numbers(shape, ("xtl", "ytl", "xbr", "ybr"))
        box = (xmin, ymin, xmax, ymax)
        return (enclose_rotated_box(box, degrees), True) if degrees else (box, False)
    if shape.tag == "ellipse":
        x, y, rx, ry = _numbers(shape, ("cx", "cy", "rx", "ry"))
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        width, height = math.hypot(rx * cosine, ry * sine), math.hypot(rx * sine, ry * cosine)
        return (x - width, y - height, x + width, y + height), True
    if shape.tag == "mask":
        left, top, width, height = _numbers(shape, ("left", "top", "width", "height"))
        return (left, top, left + width, top + height), True
    if shape.tag == "polygon":
        points = [tuple(map(float, point.split(","))) for point in (shape.get("points") or "").split(";")]
        return enclose_points((x, y) for x, y in points), True
    if shape.tag == "cuboid":
        corners = [key[1:] for key in shape.attrib if re.fullmatch(r"x[tb][lr]\d", key)]
        xs, ys = (_numbers(shape, [axis + corner for corner in corners]) for axis in "xy")
        return enclose_points(zip(xs, ys, strict=True)), True
    raise ValueError("unknown shape")


def _numbers(element: ElementTree.Element, keys: Iterable[str]) -> list[float]:
    return [float(element.get(key) or "") for key in keys]


def _stated_size(image: ElementTree.Element) -> tuple[int, int] | None:
    """Return (height, width), or None if it is not stated."""
    try:
        height, width = int(image.get("height") or 0), int(image.get("width") or 0)
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None
