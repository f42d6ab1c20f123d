"""Pascal VOC: one XML file for each image, in any folders.

    Annotations/*.xml, JPEGImages/, ImageSets/Main/{train,val,test}.txt      the original
    {,images/}{train,val,test}/*.xml, each beside its image                  written by label tools
    annots/*.xml, images/                                                    a dataset without splits

Source: The PASCAL Visual Object Classes Challenge 2012 Development Kit, section 4. Box sides are used as stated: the
kit counts pixels from 1, most tools count from 0, and no file states which. An image is found by the name of its label
file, then by the name in it. The classes are in alphabetical order, or in that of PaddleX's ``labels.txt``.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from pathlib import Path

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.class_order import order_classes
from edge_ssd.data.label_files.file_limits import MAX_BYTES_PER_IMAGE, read_label_file
from edge_ssd.data.label_files.ignored_regions import ignored_kind, report_ignored_regions
from edge_ssd.data.label_files.image_size import parse_image_size
from edge_ssd.data.label_files.object_reader import ONLY_IGNORED
from edge_ssd.data.label_files.shapes import Box, enclose_points, enclose_rotated_box
from edge_ssd.data.label_files.xml_file import Element, parse_xml, read_first_tags
from edge_ssd.data.split_names import SPLIT_OF_WORD, split_from_folders

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "Pascal VOC"
FILES = "*.xml with <annotation>"

_MAX_SNIFFED_FILES = 50
_ROOT_TAG = re.compile(rb"<annotation[\s>/]")


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` for annotations that are divided into splits, ``LIKELY`` for others, else ``NONE``."""
    paths = tree.files(".xml")
    if not any(map(_is_annotation, itertools.islice(paths, _MAX_SNIFFED_FILES))):
        return Match.NONE
    listed = any(path.stem.lower() in SPLIT_OF_WORD for path in tree.files(".txt"))
    return Match.SURE if listed or any(split_from_folders(tree.folder_parts(path)) for path in paths) else Match.LIKELY


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every image."""
    files: list[tuple[Path, Element | str]] = [(path, _read(path)) for path in tree.files(".xml")]
    # An XML file that is no annotation may be of another program, unless it is named like an image.
    stems = {path.stem for path in tree.images()}
    files = [(path, content) for path, content in files if not isinstance(content, str) or path.stem in stems]
    names = sorted(
        {
            name
            for _, content in files
            if not isinstance(content, str)
            for element in content.findall("object")
            if not _ignored_kind(element) and (name := _object_name(element))
        }
    )
    names, notices = order_classes(tree, names)
    index_of = {name: index for index, name in enumerate(names)}
    ignored: Counter[str] = Counter()
    annotated = [_annotate(path, content, index_of, ignored) for path, content in files]
    images = tuple(image for image in annotated if image.fault != ONLY_IGNORED)
    notices += report_ignored_regions(tree.root, ignored, len(annotated) - len(images))
    return ParsedDataset(tuple(names), images, notices=tuple(notices), label_file_per_image=True)


def _is_annotation(path: Path) -> bool:
    return _ROOT_TAG.search(read_first_tags(path)) is not None


def _read(path: Path) -> Element | str:
    """Return the root of an annotation, or why the file is none."""
    try:
        content = read_label_file(path, MAX_BYTES_PER_IMAGE)
        if not content.strip():
            return "the file is empty"
        root = parse_xml(content)
    except (OSError, ValueError) as error:
        return str(error)
    return root if root.tag == "annotation" else f"its root is <{root.tag}>, not <annotation>"


def _annotate(path: Path, content: Element | str, index_of: dict[str, int], ignored: Counter[str]) -> ImageAnnotations:
    """Return an image with its boxes; its ignored objects are counted."""
    if isinstance(content, str):
        fault = f"not a Pascal VOC label file ({content})"
        return ImageAnnotations(path, path.stem, stem=path.stem, fault=fault)
    boxes = []
    fault = ""
    is_ignored = False
    for number, element in enumerate(content.findall("object"), 1):
        name = _object_name(element)
        if kind := _ignored_kind(element):
            ignored[kind] += 1
            is_ignored = True
            continue
        try:
            box, enclosing = _bounding_box(element)
        except ValueError as error:
            fault = fault or f"object {number}{f' ({name})' if name else ''} has no box of four numbers ({error})"
            continue
        if name:
            boxes.append(BoxAnnotation(index_of[name], box, f"object {number} ({name})", enclosing))
        else:
            fault = fault or f"object {number} has no name"
    if is_ignored and not boxes:
        fault = fault or ONLY_IGNORED
    # An image is often renamed together with its label file, while the name inside the file stays.
    file_name = (content.findtext("filename") or "").strip() or path.stem
    return ImageAnnotations(
        path,
        file_name,
        tuple(boxes),
        stem=path.stem,
        stated_size=parse_image_size(content.findtext("size/height"), content.findtext("size/width")),
        fault=fault,
    )


def _ignored_kind(element: Element) -> str:
    """Return how an object is marked to be ignored, as those that were deleted in the web's LabelMe, or ""."""
    return next(filter(None, (ignored_kind(child.tag, child.text) for child in element)), "")


def _object_name(element: Element) -> str:
    return (element.findtext("name") or "").strip()


def _bounding_box(element: Element) -> tuple[Box, bool]:
    """Return an object's box, xyxy, and whether it encloses another shape; raise ValueError if it has no shape."""
    if element.find("bndbox") is not None:
        xmin, ymin, xmax, ymax = (_number(element, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax"))
        return (xmin, ymin, xmax, ymax), False
    if element.find("robndbox") is not None:  # as written by roLabelImg, the angle in radians
        x, y, width, height, angle = (_number(element, f"robndbox/{key}") for key in ("cx", "cy", "w", "h", "angle"))
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        return enclose_rotated_box(box, math.degrees(angle)), True
    polygon = element.find("polygon")
    if polygon is None:
        raise ValueError("no <bndbox>")
    # <x1>, <y1>, <x2> … or a <pt> with <x> and <y> for each point
    sides: dict[str, list[float]] = {"x": [], "y": []}
    for side in polygon.iter():
        if re.fullmatch(r"[xy]\d*", side.tag):
            sides[side.tag[0]].append(_parse_number(side))
    if len(sides["x"]) != len(sides["y"]):
        raise ValueError("a point of its polygon lacks a side")
    return enclose_points(zip(sides["x"], sides["y"], strict=True)), True


def _number(element: Element, path: str) -> float:
    child = element.find(path)
    if child is None:
        raise ValueError(f"no <{path.rpartition('/')[2]}>")
    return _parse_number(child)


def _parse_number(element: Element) -> float:
    text = (element.text or "").strip()
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{element.tag} is {text!r}" if text else f"<{element.tag}> is empty") from None
