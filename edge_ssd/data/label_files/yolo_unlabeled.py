"""Images of a YOLO dataset without a label file, and label files without an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree

__all__ = ["check_unlabeled"]


def check_unlabeled(
    tree: FileTree, images: Sequence[ImageAnnotations], unused: Sequence[ImageAnnotations]
) -> tuple[list[ImageAnnotations], list[Problem]]:
    """Return the images, those of ``unused`` label files too, and the problems of those without labels.

    An image without a label file is background, unless there are label files that have no image: one may be its own,
    under another name, or in the folder of another split.
    """
    if all(image.label_file != image.path for image in images):
        return [*images, *unused], []
    misplaced = {image.file_name: image for image in unused if image.boxes}
    checked: list[ImageAnnotations] = []
    claimed: set[str] = set()
    for image in images:
        name = next((name for name in _names(image) if name in misplaced), "")
        if image.label_file != image.path or not name:
            checked.append(image)
            continue
        other = tree.relative(misplaced[name].label_file)
        fault = f"it has no label file in its place, but there is {other}: move one of them to the other's folder"
        checked.append(dataclasses.replace(image, fault=fault))
        claimed.add(name)
    unlabeled = [image for image in checked if image.label_file == image.path and not image.fault]
    rest = [image for image in unused if image.file_name not in claimed]
    known = {name for path in tree.images() for name in (path.stem, path.name)}
    lost = [image for image in rest if image.boxes and image.file_name not in known]
    if not lost:
        unstated = {image.path: dataclasses.replace(image, unstated="a label file") for image in unlabeled}
        return [*(unstated.get(image.path, image) for image in checked), *rest], []
    if not unlabeled:
        return [*checked, *rest], []
    message = (
        f"not used as background: {count(len(unlabeled), 'image')} without a label file, such as "
        f"{unlabeled[0].file_name}, since {count(len(lost), 'label file', 'has', 'have')} no image, such as "
        f"{lost[0].label_file.name}: name them alike"
    )
    dropped = {image.path for image in unlabeled}
    return [*(image for image in checked if image.path not in dropped), *rest], [Problem(tree.root, message)]


def _names(image: ImageAnnotations) -> tuple[str, ...]:
    return (image.path.stem, image.path.name) if image.path is not None else ()
