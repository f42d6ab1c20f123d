"""Boxes of a dataset with the sizes of their images, from which faults of the whole set are concluded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.box_layouts import Numbers
from edge_ssd.data.image_header import ImageHeader

__all__ = ["ReadHeader", "common_file", "fits_inside", "iter_headers", "same_shape"]

ReadHeader = Callable[[Path], ImageHeader]

# So many images leave no doubt about a fault of all; the headers of a large set need not be read for that.
_MAX_IMAGES = 2000
# Part of an image's side, and pixels, by which a box may leave its image: labels are rounded and drawn by hand.
_TOLERANCE, _TOLERANCE_PIXELS = 0.01, 1.0


def iter_headers(
    images: Sequence[ImageAnnotations], read_header: ReadHeader
) -> Iterator[tuple[ImageAnnotations, ImageHeader]]:
    """Yield up to 2000 usable images, evenly spaced, with their headers.

    Unreadable images are left out, and images that are rotated by EXIF: their boxes may be those of the image before.
    """
    usable = [image for image in images if image.path is not None and not image.fault]
    count = min(len(usable), _MAX_IMAGES)
    for index in range(count):
        image = usable[index * len(usable) // count]
        assert image.path is not None
        try:
            header = read_header(image.path)
        except (OSError, ValueError):
            continue
        if header.orientation in (0, 1):
            yield image, header


def fits_inside(boxes_xyxy: Numbers, sizes: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return for each box [N, 4] in pixels whether it has an area and is inside its image of (height, width) [N, 2]."""
    limits = np.asarray(sizes, np.float64).reshape(-1, 2)[:, ::-1]
    tolerance = np.maximum(_TOLERANCE * limits, _TOLERANCE_PIXELS)
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    fits = (low < high) & (low >= -tolerance) & (high <= limits + tolerance)
    return np.asarray(fits.all(axis=1))


def same_shape(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """Return whether two sizes (height, width) have the same aspect ratio, up to the rounding of their sides."""
    tolerance = max(_TOLERANCE, 1 / min(*first, *second))
    return abs(first[1] * second[0] / (first[0] * second[1]) - 1) <= tolerance


def common_file(root: Path, images: Sequence[ImageAnnotations]) -> Path:
    """Return the label file of all images if they share one, else the dataset's folder: the path for a message."""
    files = {image.label_file for image in images}
    return files.pop() if len(files) == 1 else root
