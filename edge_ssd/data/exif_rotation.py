"""Boxes that were made before their image's rotation by EXIF: how to tell them, and how to rotate them.

Some label tools show an image as it is stored, others as the EXIF orientation says. No label file states which. The
stated size of an image that is rotated by 90° does, and so do boxes that fit into one of the two sizes only. What these
show is taken for all images of the dataset, since one tool labeled them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_ssd.data.annotations import BoxAnnotation, ImageAnnotations
from edge_ssd.data.image_header import ImageHeader
from edge_ssd.runtime.image_file import SWAPS_SIDES

__all__ = ["BoxOrigin", "gives_evidence", "rotate_box", "survey_box_origin"]

Box = tuple[float, float, float, float]

# Labels are rounded: a box may exceed its image by this many pixels.
_TOLERANCE = 1.0


@dataclass(frozen=True)
class BoxOrigin:
    """What the images of a dataset show about their boxes.

    Attributes:
        before, after: number of images whose boxes were certainly made before or after the rotation by EXIF.
    """

    before: int = 0
    after: int = 0

    def predates_rotation(self, image: ImageAnnotations, header: ImageHeader) -> bool:
        """Return whether the boxes of an image have to be rotated with it."""
        if header.orientation == 1 or not image.boxes:
            return False
        all_before = self.before > 0 and not self.after
        if image.stated_size is not None and not image.normalized:
            own = _made_before(image, header)
            return all_before if own is None else own
        return all_before and _made_before(image, header) is not False


def survey_box_origin(images: Iterable[tuple[ImageAnnotations, ImageHeader]]) -> BoxOrigin:
    """Return what images and their headers show together."""
    answers = [_made_before(image, header) for image, header in images if header.orientation in SWAPS_SIDES]
    return BoxOrigin(answers.count(True), answers.count(False))


def gives_evidence(image: ImageAnnotations) -> bool:
    """Return whether an image can show when its boxes were made, if it is rotated by 90°."""
    return image.stated_size is not None or (bool(image.boxes) and not image.normalized)


def rotate_box(box_xyxy: Box, orientation: int, size: tuple[int, int]) -> Box:
    """Return a box of the image as it is stored, of ``size`` (height, width), in the image as it is seen.

    A reversed box stays reversed. Source: Exif 2.32, tag Orientation.
    """
    height, width = size
    xmin, ymin, xmax, ymax = box_xyxy
    mirrored, flipped = (width - xmax, width - xmin), (height - ymax, height - ymin)
    x, y = (xmin, xmax), (ymin, ymax)
    (left, right), (top, bottom) = {
        2: (mirrored, y),
        3: (mirrored, flipped),
        4: (x, flipped),
        5: (y, x),
        6: (flipped, x),
        7: (flipped, mirrored),
        8: (y, mirrored),
    }.get(orientation, (x, y))
    return left, top, right, bottom


def _made_before(image: ImageAnnotations, header: ImageHeader) -> bool | None:
    """Return whether the boxes of an image were made before its rotation by 90°; None if nothing shows it."""
    after, before = header.size, header.unrotated_size
    if after == before:
        return None
    fits_before, fits_after = (image.normalized or _fit(image.boxes, size) for size in (before, after))
    if image.stated_size == before and (fits_before or not fits_after):
        return True
    if image.stated_size == after and (fits_after or not fits_before):
        return False
    return fits_before if fits_before != fits_after else None


def _fit(boxes: Sequence[BoxAnnotation], size: tuple[int, int]) -> bool:
    height, width = size
    return all(
        min(xmin, ymin) >= -_TOLERANCE and xmax <= width + _TOLERANCE and ymax <= height + _TOLERANCE
        for xmin, ymin, xmax, ymax in (box.box_xyxy for box in boxes)
    )
