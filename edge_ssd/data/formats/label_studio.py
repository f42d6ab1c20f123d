"""Label Studio JSON, JSON-MIN and CSV: a list of tasks.

    project-1-at-2024-05-01-10-00.json, images/    a dataset without splits
    train.json, val.json …                         a file for each split

Regions are in per cent of the image; a rotated one is turned around its top left corner. Tasks without a submitted
annotation are not used, and predictions are not read. A submitted annotation without regions is background, unless
another one of the same image has regions. Of several annotations of an image, the last with regions is used; of several
exports of an image, the last by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_ssd.console.counts import count, count_of
from edge_ssd.data.annotations import ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.json_kind import json_files
from edge_ssd.data.label_files.json_values import (
    get,
    stated_size,
    to_name,
    to_number,
    to_points,
    xywh_to_xyxy,
)
from edge_ssd.data.label_files.label_studio_tasks import (
    LabelStudioRegion,
    has_label_studio_columns,
    read_task,
    read_tasks,
)
from edge_ssd.data.label_files.object_reader import NotAnObject, ObjectReader, Shape
from edge_ssd.data.label_files.older_exports import drop_older_exports
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.label_files.shapes import Box, enclose_ellipse, enclose_points, enclose_rotated_box
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "Label Studio"
FILES = "*.json or *.csv with a list of tasks"


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is an export of Label Studio, else ``NONE``."""
    return Match.SURE if _label_files(tree) else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every labeled task; raise DataError for an invalid file or if no task is labeled."""
    paths = _label_files(tree)
    pairs, notices = select_label_files(tree, paths, several=True)
    reader = ObjectReader()
    problems: list[Problem] = []
    images, repeated = drop_older_exports(
        image for split, path in pairs for image in _annotate(path, split, reader, problems, notices)
    )
    if not images and not problems:
        raise DataError(
            f"{paths[0]}: no task has a submitted annotation: label the images in Label Studio, then export again"
        )
    return reader.dataset(tree.root, images, problems, [*notices, *repeated], box_layout="xywh", percent=True)


def _label_files(tree: FileTree) -> list[Path]:
    """Return the label files, those that state most and the last exports first."""
    tables = [path for path in tree.files(".csv", ".tsv") if has_label_studio_columns(path)]
    return [*sorted(json_files(tree, "label_studio"), reverse=True), *sorted(tables, reverse=True)]


def _annotate(
    path: Path, split: str, reader: ObjectReader, problems: list[Problem], notices: list[Problem]
) -> Iterator[ImageAnnotations]:
    tasks = read_tasks(path)
    annotations: dict[str, ImageAnnotations] = {}
    differing: set[str] = set()
    total = unlabeled = 0
    for number, task in enumerate(tasks, 1):
        images = read_task(task)
        if not images:
            problems.append(Problem(path, f"task {get(task, 'id') or number} names no image; dropped"))
        for image in images:
            total += 1
            if image.regions is None:
                unlabeled += 1
                continue
            boxes, fault = reader.read(image.regions, _parse_region, f"task {get(task, 'id') or number}, region")
            fault = fault or image.fault
            sizes = [stated_size(*region.original_size[::-1]) for region in image.regions]
            annotation = ImageAnnotations(
                path, image.name, boxes, split, stated_size=(sizes or [None])[0], normalized=True, fault=fault
            )
            # JSON-MIN has an entry for each annotation of a task: the last one with regions is used.
            earlier = annotations.setdefault(image.name, annotation)
            if image.differs or _content(earlier) != _content(annotation):
                differing.add(image.name)
            if boxes or fault:
                annotations[image.name] = annotation
    if differing:
        fact = (
            f"{count(len(differing), 'image', 'has', 'have')} several annotations that differ, such as {min(differing)}"
        )
        notices.append(Problem(path, f"{fact}: of each, the last annotation with regions is used"))
    if unlabeled:
        notices.append(
            Problem(path, f"{count_of(unlabeled, total, 'image', 'has', 'have')} no submitted annotation; not used")
        )
    yield from annotations.values()


def _content(image: ImageAnnotations) -> object:
    """Return the classes and boxes of an image, to compare it with another annotation of the same image."""
    return sorted((box.class_index, box.box_xyxy) for box in image.boxes), image.fault


def _parse_region(region: LabelStudioRegion) -> Shape:
    value, kind = region.value, region.kind
    if "sequence" in value or kind.startswith("video"):
        raise ValueError("a region of a video cannot be read: export images")
    if "rle" in value or kind.startswith(("brush", "bitmask")):
        raise ValueError("a brush mask cannot be read: export the project as COCO, or label boxes")
    if "vertices" in value or kind.startswith("vector"):
        raise NotAnObject("vector")
    if kind.startswith("keypoint"):
        raise NotAnObject("keypoint")
    label = to_name(region.label)
    degrees = to_number(get(value, "rotation") or 0) % 360
    if "points" in value:
        return Shape(label, _to_fractions(enclose_points(to_points(value["points"]))), enclosing=True)
    if "radiusX" in value:
        return Shape(label, _enclose_ellipse(region, degrees), enclosing=True)
    percent = [to_number(get(value, key)) for key in ("x", "y", "width", "height")]
    if not degrees:
        return Shape(label, _to_fractions(xywh_to_xyxy(percent)))
    # Width and height are scaled differently: an angle is one in pixels only.
    width, height = _pixels(region)
    box = xywh_to_xyxy([side * size / 100 for side, size in zip(percent, (width, height) * 2, strict=True)])
    return Shape(label, _divide(enclose_rotated_box(box, degrees, box[:2]), width, height), enclosing=True)


def _enclose_ellipse(region: LabelStudioRegion, degrees: float) -> Box:
    center_and_radii = [to_number(get(region.value, key)) for key in ("x", "y", "radiusX", "radiusY")]
    if not degrees:
        return _to_fractions(enclose_ellipse(*center_and_radii))
    width, height = _pixels(region)
    x, y, radius_x, radius_y = (
        side * size / 100 for side, size in zip(center_and_radii, (width, height) * 2, strict=True)
    )
    return _divide(enclose_ellipse(x, y, radius_x, radius_y, degrees), width, height)


def _pixels(region: LabelStudioRegion) -> tuple[float, float]:
    width, height = map(to_number, region.original_size)
    if not width > 0 or not height > 0:
        raise ValueError("a rotated region needs original_width and original_height")
    return width, height


def _to_fractions(percent: Box) -> Box:
    return _divide(percent, 100, 100)


def _divide(box: Box, width: float, height: float) -> Box:
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height
