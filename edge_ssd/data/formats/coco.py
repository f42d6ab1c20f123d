"""COCO JSON: one file for each split, which lists images, annotations and categories.

    annotations/instances_train2017.json …    images in train2017/, images/train2017/, images/train/ or images/
    train/_annotations.coco.json …            each beside its images (Roboflow's export)
    result.json, images/                      a dataset without splits

Source: https://cocodataset.org/#format-data. A box is (xmin, ymin, width, height) in pixels. Category ids may have
gaps; the class names are in the order of these ids. A crowd's box surrounds many objects and is ignored, as in training
on COCO itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations, ParsedDataset
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.formats.label_format import Match
from edge_ssd.data.label_files.coco_categories import explain_unknown_category
from edge_ssd.data.label_files.coco_file import CocoFile, enclose_object, get_id, image_name, read_coco
from edge_ssd.data.label_files.coco_images import CocoImages
from edge_ssd.data.label_files.ignored_regions import ignored_kind, report_ignored_regions
from edge_ssd.data.label_files.json_kind import json_files
from edge_ssd.data.label_files.json_values import get, get_text
from edge_ssd.data.label_files.select_files import select_label_files
from edge_ssd.data.split_names import split_from_words
from edge_ssd.errors import DataError

__all__ = ["FILES", "TITLE", "parse", "sniff"]

TITLE = "COCO JSON"
FILES = "*.json with images, annotations and categories"

# COCO has files with captions, keypoints … of the same images beside those with boxes.
_DETECTION_FILES = "instances_"
_OTHER_FILES = ("captions_", "image_info_", "panoptic_", "person_keypoints_", "stuff_")


def sniff(tree: FileTree) -> Match:
    """Return ``SURE`` if there is a COCO JSON file, ``UNCLEAR`` for one that lacks a list, else ``NONE``."""
    if json_files(tree, "coco"):
        return Match.SURE
    return Match.UNCLEAR if json_files(tree, "coco_incomplete") else Match.NONE


def parse(tree: FileTree) -> ParsedDataset:
    """Return the annotations of every split; raise DataError for a file that is not COCO JSON."""
    paths = json_files(tree, "coco") or json_files(tree, "coco_incomplete")
    pairs, notices = select_label_files(tree, _prefer_detection_files(paths))
    files = [(split, read_coco(path)) for split, path in pairs]
    unlabeled = [file.path for _, file in files if file.annotations is None]
    files = [(split, file) for split, file in files if file.annotations is not None]
    if not files:
        raise DataError(f"{unlabeled[0]}: it lists images without annotations, as for COCO's test split: label them")
    notices += [Problem(path, "not used: it lists images without annotations") for path in unlabeled]
    names = _class_names([file for _, file in files])
    index_of = {name: index for index, name in enumerate(names)}
    images: list[ImageAnnotations] = []
    problems: list[Problem] = []
    for split, file in files:
        own = {image_name(image): split_from_words(get_text(image, "split", "subset")) for image in file.images}
        images += [
            dataclasses.replace(image, split=own.get(image.file_name) or split)
            for image in _annotate(file, index_of, split, problems, notices)
        ]
    return ParsedDataset(tuple(names), tuple(images), tuple(problems), tuple(notices), box_layout="xywh")


def _prefer_detection_files(paths: Sequence[Path]) -> Sequence[Path]:
    return (
        [path for path in paths if path.name.startswith(_DETECTION_FILES)]
        or [path for path in paths if not path.name.startswith(_OTHER_FILES)]
        or paths
    )


def _class_names(files: Iterable[CocoFile]) -> list[str]:
    """Return the category names in the order of their ids, file by file, without unused supercategories."""
    names: dict[str, None] = {}
    groups: set[str] = set()
    used: set[str] = set()
    for file in files:
        has_groups = any(group not in ("", name) for name, group in file.categories.values())
        used_ids = {get_id(item, "category_id") for item in file.annotations or ()} if has_groups else set()
        # Ids may be numbers or texts, which cannot be compared with each other.
        for category_id in sorted(file.categories, key=lambda category_id: (str(type(category_id)), category_id)):
            name, group = file.categories[category_id]
            names[name] = None
            used |= {name} if category_id in used_ids else set()
            groups |= {group} if group != name else set()
    return [name for name in names if name in used or name not in groups]


def _annotate(
    file: CocoFile, index_of: dict[str, int], split: str, problems: list[Problem], notices: list[Problem]
) -> list[ImageAnnotations]:
    """Return the images of a label file with their boxes, and append its other faults and facts to the lists."""
    images = CocoImages(file, problems)
    boxes: dict[object, list[BoxAnnotation]] = {image_id: [] for image_id in images.stated}
    faults: dict[object, str] = {}
    crowds, lost = _add_boxes(file, images, index_of, boxes, faults)
    if lost:
        images.refuse_shifted_ids(file)
    problems += lost
    empty = {image_id for image_id, own in boxes.items() if not own and image_id not in faults}
    # An image that has only crowds is neither background nor an example of an object.
    crowds_only = empty.intersection(crowds)
    notices += report_ignored_regions(file.path, {"crowd": len(crowds)}, len(crowds_only))
    # The annotations of unknown images may be theirs.
    unsure = empty - crowds_only if lost else set()
    if unsure:
        message = (
            f"not used as background: {count(len(unsure), 'image')} without annotations, since "
            f"{count(len(lost), 'annotation', 'is', 'are')} of unknown images: correct the image_id"
        )
        problems.append(Problem(file.path, message))
    return [
        ImageAnnotations(
            file.path,
            name,
            tuple(boxes[image_id]),
            split,
            stated_size=size,
            fault=faults.get(image_id, ""),
            unstated="annotations" if image_id in empty else "",
        )
        for image_id, (name, size) in images.stated.items()
        if image_id not in crowds_only | unsure
    ]


def _add_boxes(
    file: CocoFile,
    images: CocoImages,
    index_of: dict[str, int],
    boxes: dict[object, list[BoxAnnotation]],
    faults: dict[object, str],
) -> tuple[list[object], list[Problem]]:
    """Append the boxes of a label file to ``boxes`` by image id.

    Returns:
        The image id of each crowd, and a problem for each annotation of an unknown image.
    """
    crowds: list[object] = []
    lost: list[Problem] = []
    unknown = ""
    for number, item in enumerate(file.annotations or (), 1):
        annotation_id, image_id = get_id(item, "id"), images.find(item)
        category_id = get_id(item, "category_id")
        location = f"annotation {number if annotation_id is None else annotation_id}"
        if image_id is None:
            message = f"{location}: image {get(item, 'image_id')!r} is not in the file; dropped"
            lost.append(Problem(file.path, message))
        elif any(ignored_kind(key, get(item, key)) for key in ("iscrowd", "ignore")):
            crowds.append(image_id)
        elif category_id is None or category_id not in file.categories:
            unknown = unknown or explain_unknown_category(file)
            faults.setdefault(image_id, f"{location}: category {get(item, 'category_id')!r} {unknown}")
        else:
            try:
                box, enclosing = enclose_object(item, images.stated[image_id][1])
            except ValueError as error:
                faults.setdefault(image_id, f"{location}: {error}")
                continue
            name = file.categories[category_id][0]
            boxes[image_id].append(BoxAnnotation(index_of[name], box, f"{location} ({name})", enclosing))
    return crowds, lost
