"""CVAT's own XML, "CVAT for images 1.1" and "CVAT for video 1.1": one file for all images of a task.

    annotations.xml, images/a.jpg               also with a folder for each subset: images/Train/a.jpg
    annotations.xml, images/frame_000000.png    frames of a video
    train/annotations.xml, train/a.jpg …        exports of several tasks

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. Rotated boxes, ellipses, polygons, masks and
cuboids are enclosed by a box; points, lines and skeletons are not, and an image that has nothing else is dropped.
The classes are in the order of the task's labels. The frames of a video must lie in the folder, as CVAT exports them.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass, field
from pathlib import Path

from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.cvat_shapes import SHAPES_WITHOUT_AREA, bounding_box
from edge_ssd.data.label_files.cvat_tracks import FRAME, Tracks
from edge_ssd.data.label_files.file_limits import UnsuitableFileError, check_size, open_label_file
from edge_ssd.data.label_files.image_size import parse_image_size
from edge_ssd.data.label_files.object_reader import NotAnObject, ObjectReader, Shape
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.xml_file import Element, read_elements, read_first_tags
from edge_ssd.data.split_names import split_from_words
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "CVAT XML"
FILES = "annotations.xml with <image> or <track>"

_ROOT_TAG = re.compile(rb"<annotations[\s>]")
_KNOWN_TAG = re.compile(rb"<(image|track|meta|version)[\s>/]")
# Of an image, but not its objects.
_NO_SHAPES = frozenset({"tag", "attribute"})
_TYPES_WITHOUT_AREA = frozenset({"tag", *SHAPES_WITHOUT_AREA})


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is an XML file of CVAT, ``UNCLEAR`` without the frames of its video, else ``NONE``."""
    paths = list(filter(_is_cvat, tree.files(".xml")))
    if not paths:
        return Match.NONE
    usable = any(FRAME.fullmatch(path.stem) for path in tree.images()) or not all(map(_is_video, paths))
    return Match.SURE if usable else Match.UNCLEAR


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every image; raise DataError for invalid XML, or a video without frames."""
    pairs, notices = select_label_files(tree, list(filter(_is_cvat, tree.files(".xml"))), several=True)
    reader = ObjectReader()
    files = [_read(path, split, reader) for split, path in pairs]
    for file in files:
        if file.tracks:
            file.images += file.tracks.annotate(tree, file.path, reader)
            notices += file.tracks.notices
    labels = [label for file in files for label in file.labels.items()]
    reader.state_classes(name for name, is_class in labels if is_class or name in reader.used_classes)
    return reader.dataset(tree.root, [image for file in files for image in file.images], notices=notices)


@dataclass
class _LabelFile:
    """Content of a file.

    Attributes:
        labels: name of each label → whether its shapes have boxes.
        images: the annotated images, without the frames of a video.
        tracks: objects in a video.
    """

    path: Path
    labels: dict[str, bool] = field(default_factory=dict)
    images: list[ImageAnnotations] = field(default_factory=list)
    tracks: Tracks = field(default_factory=Tracks)


def _is_cvat(path: Path) -> bool:
    text = read_first_tags(path)
    root = _ROOT_TAG.search(text)
    return root is not None and _KNOWN_TAG.search(text, root.end()) is not None


def _is_video(path: Path) -> bool:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            check_size(len(text))
            return text.find(b"<track ") >= 0
    except (OSError, ValueError):
        return False


def _read(path: Path, split: str, reader: ObjectReader) -> _LabelFile:
    file = _LabelFile(path)

    def read(element: Element) -> bool:
        if element.tag == "label":
            _add_label(file, element)
        elif element.tag == "track":
            file.tracks.add(element)
        elif element.tag == "image":
            file.images.append(_annotate(path, element, split, reader))
        return element.tag in ("track", "image")

    try:
        with open_label_file(path) as stream:
            check_size(path.stat().st_size)
            read_elements(stream, read)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check its permissions") from None
    except UnsuitableFileError as error:
        raise DataError(f"{path}: {error}") from None
    except ValueError as error:
        raise DataError(f"{path}: invalid XML ({error}): export the labels again") from None
    return file


def _add_label(file: _LabelFile, element: Element) -> None:
    name = (element.findtext("name") or "").strip()
    # A label with a parent is a point of a skeleton.
    if name and not (element.findtext("parent") or "").strip():
        file.labels[name] = (element.findtext("type") or "").strip() not in _TYPES_WITHOUT_AREA


def _annotate(path: Path, element: Element, split: str, reader: ObjectReader) -> ImageAnnotations:
    shapes = (child for child in element if child.tag not in _NO_SHAPES)
    boxes, fault = reader.read(shapes, _parse_shape, "shape")
    return ImageAnnotations(
        path,
        (element.get("name") or "").strip(),
        boxes,
        split_from_words(element.get("subset") or "") or split,
        stated_size=parse_image_size(element.get("height"), element.get("width")),
        fault=fault,
    )


def _parse_shape(shape: Element) -> Shape:
    if shape.tag in SHAPES_WITHOUT_AREA:
        raise NotAnObject(shape.tag)
    try:
        box, enclosing = bounding_box(shape)
    except ValueError as error:
        raise ValueError(f"<{shape.tag}> has no box that can be read ({error})") from None
    name = (shape.get("label") or "").strip()
    if not name:
        raise ValueError(f"<{shape.tag}> has no label")
    return Shape(name, box, enclosing)
