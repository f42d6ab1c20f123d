"""CVAT's own XML, "CVAT for images 1.1" and "CVAT for video 1.1": one file for all images of a task.

    annotations.xml, images/a.jpg               also with a folder for each subset: images/Train/a.jpg
    annotations.xml, images/frame_000000.png    frames of a video
    train/annotations.xml, train/a.jpg …        exports of several tasks

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. Rotated boxes, ellipses, polygons, masks and
cuboids are enclosed by a box; points, lines and skeletons are not, and an image that has nothing else is left out.
The classes are in the order of the task's labels. The frames of a video must lie in the folder, as CVAT exports them.
"""

from __future__ import annotations

import dataclasses
import mmap
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.cvat_shapes import SHAPES_WITHOUT_AREA, bounding_box
from edge_ssd.data.label_files.cvat_tracks import FRAME, Tracks
from edge_ssd.data.label_files.image_size import parse_image_size
from edge_ssd.data.label_files.merge_files import drop_repeated_images
from edge_ssd.data.label_files.select_files import select_label_files
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
    files = [_read(path, split) for split, path in pairs]
    for file in files:
        if file.tracks:
            file.images += file.tracks.annotate(tree, file.path)
            notices += file.tracks.notices
    used = sorted({name for file in files for _, boxes in file.images for name, _ in boxes})
    stated = [name for file in files for name, is_class in file.labels.items() if is_class or name in used]
    names = tuple(dict.fromkeys((*stated, *used)))
    index_of = {name: index for index, name in enumerate(names)}
    images = []
    for file in files:
        for image, boxes in file.images:
            own = tuple(BoxAnnotation(index_of[name], box.box_xyxy, box.location, box.enclosing) for name, box in boxes)
            images.append(dataclasses.replace(image, boxes=own))
        if file.ignored:
            left_out = f", and {file.only_ignored} images with only such shapes" if file.only_ignored else ""
            message = f"{file.ignored} points, lines and skeletons ignored, which have no box{left_out}"
            notices.append(Problem(file.path, message))
    images, repeated = drop_repeated_images(images)
    return ParsedDataset(names, tuple(images), notices=(*notices, *repeated))


@dataclass
class _LabelFile:
    """Content of a file.

    Attributes:
        labels: name of each label → whether its shapes have boxes.
        images: each image without its boxes, and its (class name, box).
        tracks: objects in a video.
        ignored: number of shapes without a box; ``only_ignored``: of images with only these.
    """

    path: Path
    labels: dict[str, bool] = field(default_factory=dict)
    images: list[tuple[ImageAnnotations, list[tuple[str, BoxAnnotation]]]] = field(default_factory=list)
    tracks: Tracks = field(default_factory=Tracks)
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


def _is_video(path: Path) -> bool:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return text.find(b"<track ") >= 0
    except (OSError, ValueError):
        return False


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
                    file.ignored += file.tracks.add(element)
                    element.clear()
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
        if shape.tag in SHAPES_WITHOUT_AREA:
            ignored += 1
            continue
        name = (shape.get("label") or "").strip()
        try:
            box, enclosing = bounding_box(shape)
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
    image = ImageAnnotations(
        file.path,
        name,
        split=split,
        stated_size=parse_image_size(element.get("height"), element.get("width")),
        fault=fault,
    )
    file.images.append((image, boxes))
