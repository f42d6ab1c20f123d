"""Facts about the labels of a whole dataset that are no faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem

__all__ = ["report_assumed_background", "report_enclosing_boxes"]


def report_assumed_background(root: Path, images: Iterable[ImageAnnotations]) -> list[Problem]:
    """Return a notice of the images that are background only because the label files say nothing of them, or none."""
    kinds: dict[Path | str, str] = {}
    for image in images:  # of several entries of an image, one may state objects
        key = image.path or image.file_name
        kinds[key] = "" if image.fault or not image.unstated else kinds.get(key, image.unstated)
    numbers = Counter(filter(None, kinds.values()))
    return [
        Problem(root, f"{count(number, 'image')} without {what}: used as background")
        for what, number in numbers.items()
    ]


def report_enclosing_boxes(root: Path, images: Sequence[ImageAnnotations]) -> list[Problem]:
    """Return a notice of the boxes that enclose other shapes, or none."""
    enclosing = sum(box.enclosing for image in images for box in image.boxes)
    if not enclosing:
        return []
    total = sum(len(image.boxes) for image in images)
    fact = f"{enclosing} of {total} objects are polygons, masks or rotated boxes"
    return [Problem(root, f"{fact}: the boxes that enclose them are used")]
