"""Facts about the labels of a whole dataset."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.file_tree import FileTree
from edge_ssd.data.held_out_images import name_some
from edge_ssd.errors import DataError

__all__ = ["refuse_without_images", "report_assumed_background", "report_enclosing_boxes"]

_ANY = re.compile("")
# Suffixes of files that are no images in an unknown format.
_LABELS = frozenset({".txt", ".json", ".xml", ".csv", ".yaml", ".yml", ".names", ".md", ".data", ".cfg"})


def refuse_without_images(tree: FileTree) -> None:
    """Raise DataError if no image exists, with the suffix of the files that may be the images."""
    if tree.images():
        return
    suffixes = Counter(path.suffix.lower() for path in tree.matching(_ANY)) - Counter(dict.fromkeys(_LABELS, 1 << 30))
    if not suffixes:
        raise DataError(f"{tree.root}: there are labels, but no images: put the images into this folder")
    suffix, number = suffixes.most_common(1)[0]
    files = f"{count(number, 'file')} {f'*{suffix}' if suffix else 'without a suffix'}"
    raise DataError(f"{tree.root}: there are labels, but no images that can be read: convert {files} to PNG or JPEG")


def report_assumed_background(root: Path, images: Iterable[ImageAnnotations]) -> list[Problem]:
    """Return a notice of the images that are background only because the label files say nothing of them, or none."""
    names: dict[str, list[str]] = {}
    for image in images:
        if image.unstated and not image.boxes and not image.fault:
            names.setdefault(image.unstated, []).append(image.path.name if image.path else image.file_name)
    return [
        Problem(root, f"{count(len(own), 'image')} without {what}: used as background ({name_some(own)})")
        for what, own in names.items()
    ]


def report_enclosing_boxes(root: Path, images: Sequence[ImageAnnotations]) -> list[Problem]:
    """Return a notice of the boxes that enclose other shapes, or none."""
    enclosing = sum(box.enclosing for image in images for box in image.boxes)
    if not enclosing:
        return []
    total = sum(len(image.boxes) for image in images)
    fact = f"{enclosing} of {total} objects are polygons, masks or rotated boxes"
    return [Problem(root, f"{fact}: the boxes that enclose them are used")]
