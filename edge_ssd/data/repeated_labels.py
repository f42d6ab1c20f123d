"""Images that are labeled several times: in several label files, or under several spellings of their name in one.

What one file states of an image is joined, and so is what several files state, such as a file for each class. An image
is dropped if its label files contradict each other: the objects of one would be background according to another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_index import path_parts
from edge_ssd.data.file_tree import FileTree

__all__ = ["JoinedLabels", "join_repeated_labels"]

# Two files mean the same object from this IoU of their boxes, or if no side differs by more pixels or parts of 0–1.
_SAME_IOU, _SAME_PIXELS, _SAME_PART = 0.9, 1.0, 0.002
# How the labels of an image were joined → message with the number of images and an example.
_NOTICES = {
    "one file": "{images} labeled several times in one label file, such as {name}: the objects are joined",
    "same": "the labels of {number} are the same in several label files, such as {files}: remove one file",
    "empty": "{has_none} in one label file and some in another, such as {files}: the objects are used",
    "several": "the objects of {number} are in several label files, such as {files}: they are joined",
}


@dataclass(frozen=True)
class JoinedLabels:
    """Annotations with at most one entry for each image file.

    Attributes:
        problems: label files that are not used, and images that are dropped.
        notices: numbers of images whose labels were joined.
    """

    images: list[ImageAnnotations]
    problems: list[Problem]
    notices: list[Problem]


def join_repeated_labels(tree: FileTree, images: Sequence[ImageAnnotations]) -> JoinedLabels:
    """Return the annotations with those of one image joined; boxes are in their final layout and units."""
    groups: dict[Path, list[ImageAnnotations]] = {}
    for image in images:
        if image.path is not None:
            groups.setdefault(image.path, []).append(image)
    joined: list[ImageAnnotations] = []
    problems: list[Problem] = []
    examples: dict[str, list[Sequence[ImageAnnotations]]] = {}
    for image in images:
        group = [image] if image.path is None else groups.pop(image.path, [])
        if len(group) > 1:
            image, how = _join(tree, group, problems)
            joined.append(image)
            examples.setdefault(how, []).append(group)
        else:
            joined += group
    return JoinedLabels(joined, problems, list(_describe(tree, examples)))


def _join(tree: FileTree, group: Sequence[ImageAnnotations], problems: list[Problem]) -> tuple[ImageAnnotations, str]:
    """Return the joined labels of one image, and a key of ``_NOTICES`` or ""."""
    of_file: dict[Path, list[ImageAnnotations]] = {}
    for image in group:
        of_file.setdefault(image.label_file, []).append(image)
    entries = [_join_file(own, problems) for own in of_file.values()]
    if len(entries) == 1:
        return entries[0], "" if entries[0].fault else "one file"
    labeled = [entry for entry in entries if entry.boxes or entry.fault]
    # A copy "a (1).xml" of the label file of a.jpg states an earlier or a later state of it.
    named = [entry for entry in labeled if not _is_named_otherwise(entry)]
    for entry in labeled if named else ():
        if _is_named_otherwise(entry):
            name = entry.path and entry.path.name
            message = f"repeats the labels of {name}, which are also in {named[0].label_file}; dropped"
            problems.append(Problem(entry.label_file, message, "repeated labels of an image"))
    used = named or labeled or entries
    if faulty := next((entry for entry in used if entry.fault), None):
        return faulty, ""
    if len(labeled) == 1:
        return used[0], "empty"
    first, *others = used
    how = "same"
    for other in others:
        new = _new_boxes(first, other)
        if new is None:
            files = f"{tree.relative(first.label_file)} and {tree.relative(other.label_file)}"
            fault = f"{files} label other objects in it: remove the wrong file"
            return dataclasses.replace(first, fault=fault), ""
        if new or len(other.boxes) < len(first.boxes):
            how = "several"
        prefix = f"{tree.relative(other.label_file)}, "
        added = (dataclasses.replace(box, location=prefix + box.location) for box in new)
        size = first.stated_size or other.stated_size
        first = dataclasses.replace(first, boxes=(*first.boxes, *added), stated_size=size)
    return first, how if others else ""


def _join_file(images: Sequence[ImageAnnotations], problems: list[Problem]) -> ImageAnnotations:
    """Return what one label file states of an image; with a fault if it may mean several images."""
    first = images[0]
    fault = next(filter(None, (image.fault for image in images)), "")
    path = first.path
    if len(images) == 1 or path is None:
        return first
    other = next((image for image in images if _has_other_folder(first.file_name, image.file_name)), None)
    if other is not None:
        here = [image for image in images if not _has_other_folder(image.file_name, path.as_posix())]
        if not here or len(here) == len(images):
            names = f"{first.file_name!r} and {other.file_name!r}"
            return dataclasses.replace(first, fault=fault or f"{names} may both be this image: state the right folder")
        for image in images:
            if image not in here:
                message = f"image {image.file_name!r} does not exist, only {here[0].file_name!r}; dropped"
                problems.append(Problem(image.label_file, message, "missing images"))
        return _join_file(here, problems)
    boxes = tuple(box for image in images for box in image.boxes)
    size = next(filter(None, (image.stated_size for image in images)), None)
    return dataclasses.replace(first, boxes=boxes, stated_size=size, fault=fault)


def _has_other_folder(name: str, other: str) -> bool:
    """Return whether two paths with the same name end in different folders."""
    one, two = ([part.casefold() for part in path_parts(unquote(text))] for text in (name, other))
    if not one or not two or PurePosixPath(one[-1]).stem != PurePosixPath(two[-1]).stem:
        return False
    return any(a != b for a, b in zip(one[-2::-1], two[-2::-1], strict=False))


def _is_named_otherwise(image: ImageAnnotations) -> bool:
    """Return whether a label file has another name than its image, be it in letter case only."""
    if image.path is None:
        return False
    own, stem = image.label_file.stem, image.path.stem
    return image.stem not in (None, stem) or (own != stem and own.casefold() == stem.casefold())


def _new_boxes(first: ImageAnnotations, other: ImageAnnotations) -> list[BoxAnnotation] | None:
    """Return the boxes of ``other`` that ``first`` lacks; None if the two contradict each other.

    They do if each has an object of the same class that the other lacks, or one object has two classes.
    """
    if first.normalized != other.normalized:
        return None
    if first.stated_size and other.stated_size and first.stated_size != other.stated_size:
        return None
    missing = list(first.boxes)
    new: list[BoxAnnotation] = []
    tolerance = _SAME_PART if first.normalized else _SAME_PIXELS
    for box in other.boxes:
        same = [own for own in missing if _is_same(own.box_xyxy, box.box_xyxy, tolerance)]
        match = next((own for own in same if own.class_index == box.class_index), None)
        if match is not None:
            missing.remove(match)
        elif same:
            return None
        else:
            new.append(box)
    contradicts = {box.class_index for box in new} & {box.class_index for box in missing}
    return None if contradicts else new


def _is_same(first: tuple[float, ...], second: tuple[float, ...], tolerance: float) -> bool:
    if all(abs(one - two) <= tolerance for one, two in zip(first, second, strict=True)):
        return True
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return False
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return width * height >= _SAME_IOU * (sum(areas) - width * height)


def _describe(tree: FileTree, examples: Mapping[str, list[Sequence[ImageAnnotations]]]) -> Iterator[Problem]:
    for how, message in _NOTICES.items():
        groups = examples.get(how)
        if not groups:
            continue
        number = len(groups)
        files = _names(tree, groups[0])
        name = groups[0][0].path and groups[0][0].path.name
        images = count(number, "image", "is", "are")
        has_none = f"{count(number, 'image', 'has', 'have')} no objects"
        text = message.format(images=images, number=count(number, "image"), has_none=has_none, name=name, files=files)
        path = groups[0][0].label_file if how == "one file" else tree.root
        yield Problem(path, text, doubt="files" if how == "several" else "")


def _names(tree: FileTree, images: Iterable[ImageAnnotations]) -> str:
    return " and ".join(list(dict.fromkeys(tree.relative(image.label_file) for image in images))[:2])
