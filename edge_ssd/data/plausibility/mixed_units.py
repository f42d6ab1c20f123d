"""Images whose boxes are in 0–1 in a dataset whose boxes are in pixels, such as those of another export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.dataset import Problem
from edge_ssd.data.plausibility.evidence import ReadHeader
from edge_ssd.data.source import DataSource

__all__ = ["drop_mixed_units"]

# Smallest and largest number of a box in 0–1, with a tolerance for rounding.
_MIN, _MAX = -0.01, 1.01
# Pixels of the shorter side of an image in which an object is no single pixel in a corner.
_MIN_SIDE = 64


def drop_mixed_units(
    source: DataSource, images: Sequence[ImageAnnotations], read_header: ReadHeader
) -> tuple[list[ImageAnnotations], list[Problem]]:
    """Return the images without those whose boxes are all in the first pixel, and a problem with their number.

    Args:
        source: with the units of boxes if the user states them, which is not questioned.
        images: with their boxes in the units of the dataset.
    """
    if source.box_units is not None:
        return list(images), []
    tiny = [image for image in images if image.boxes and not image.normalized and not image.fault and _is_tiny(image)]
    mixed = [image for image in tiny if _is_large(image.path, read_header)]
    if not mixed:
        return list(images), []
    first = mixed[0]
    message = (
        f"the boxes of {count(len(mixed), 'image')} are in 0–1, not in pixels, such as "
        f"{first.boxes[0].location} of {first.file_name}: not used; correct their labels"
    )
    dropped = set(map(id, mixed))
    path = first.label_file if len({image.label_file for image in images}) == 1 else source.folder
    return [image for image in images if id(image) not in dropped], [Problem(path, message)]


def _is_tiny(image: ImageAnnotations) -> bool:
    return all(_MIN <= side <= _MAX for box in image.boxes for side in box.box_xyxy)


def _is_large(path: Path | None, read_header: ReadHeader) -> bool:
    try:
        return path is not None and min(read_header(path).size) >= _MIN_SIDE
    except (OSError, ValueError):
        return False  # reported when its boxes are checked
