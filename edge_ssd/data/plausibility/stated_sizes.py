"""Images of another size than their labels state, such as those of a resized copy of the images.

If most images differ, they are judged together. If few do, each is judged by itself: the others show that the stated
sizes are right, so that its boxes are those of another image than the one that is here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from edge_ssd.console.counts import count
from edge_ssd.data.annotations import ImageAnnotations
from edge_ssd.data.box_layouts import Numbers
from edge_ssd.data.dataset import Problem
from edge_ssd.data.plausibility.evidence import ReadHeader, common_file, fits_inside, iter_headers, same_shape

__all__ = ["SizeAdjuster", "choose_size_adjuster"]

_MIN_IMAGES = 3
# Boxes that are needed to conclude from their being inside a smaller size that they are meant for it.
_MIN_BOXES = 8
_RIGHT_SHARE = 0.02

_Size = tuple[int, int]
_Entry = tuple[ImageAnnotations, _Size, _Size]  # with the stated and the actual size


@dataclasses.dataclass(frozen=True)
class SizeAdjuster:
    """Adapts annotations whose stated sizes are not those of the images.

    Attributes:
        problem: what the difference of most images is and what is done about it; None if few or none differ.
        scale: whether boxes are scaled from the stated to the actual size.
        few: whether images that differ are few, so that each is judged by itself.
    """

    problem: Problem | None = None
    scale: bool = False
    few: bool = False

    def apply(
        self, root: Path, images: Iterable[ImageAnnotations], read_header: ReadHeader
    ) -> tuple[list[ImageAnnotations], list[Problem]]:
        """Return the annotations, those with a differing size without it, and with scaled boxes if :attr:`scale`.

        If :attr:`few` differ, one whose boxes cannot be scaled gets a fault, and the others are a problem.
        """
        if not (self.problem or self.few):
            return list(images), []
        scaled: list[_Entry] = []
        adjusted = [self._adjust(image, read_header, scaled) for image in images]
        if not scaled or self.problem:
            return adjusted, []
        message = f"{_describe(scaled, len(adjusted))}, of the same shape: the boxes are scaled to the images"
        return adjusted, [Problem(common_file(root, adjusted), message)]

    def _adjust(self, image: ImageAnnotations, read_header: ReadHeader, scaled: list[_Entry]) -> ImageAnnotations:
        """Return the annotations of an image; append it to ``scaled`` if its boxes are."""
        if image.path is None or image.fault or image.stated_size is None or image.normalized:
            return image
        try:
            header = read_header(image.path)
        except (OSError, ValueError):
            return image  # reported when its boxes are checked
        if image.stated_size == header.size or header.orientation not in (0, 1):
            return image
        if self.few:
            action = _judge(image, image.stated_size, header.size)
            if action == "drop":
                stated, real = (f"{width}×{height}" for height, width in (image.stated_size, header.size))
                return dataclasses.replace(image, fault=f"states {stated} for an image of {real}, of another shape")
            if action == "keep":
                return image
        elif not self.scale:
            return dataclasses.replace(image, stated_size=None)
        elif not same_shape(image.stated_size, header.size):
            return image
        scaled.append((image, image.stated_size, header.size))
        y, x = (real / stated for real, stated in zip(header.size, image.stated_size, strict=True))
        boxes = []
        for box in image.boxes:
            xmin, ymin, xmax, ymax = box.box_xyxy
            boxes.append(dataclasses.replace(box, box_xyxy=(xmin * x, ymin * y, xmax * x, ymax * y)))
        return dataclasses.replace(image, boxes=tuple(boxes), stated_size=None)


def choose_size_adjuster(root: Path, images: Sequence[ImageAnnotations], read_header: ReadHeader) -> SizeAdjuster:
    """Return what to do about stated sizes; ``images`` are those of all splits, with their boxes in final units.

    Boxes are scaled if nearly all of them fit the stated sizes, which have the shape of the images, and do not fit the
    actual ones or are too many to be inside smaller ones by chance.
    """
    stating = [
        (image, image.stated_size, header.size)
        for image, header in iter_headers(images, read_header)
        if image.stated_size is not None and not image.normalized
    ]
    differing = [(image, stated, real) for image, stated, real in stating if stated != real]
    if len(differing) < max(_MIN_IMAGES, len(stating) / 2):
        return SizeAdjuster(few=len(stating) > 2 * len(differing))
    fact = _describe(differing, len(stating))
    boxes, stated_sizes, real_sizes = _boxes(differing)
    fits_stated = _fits(boxes, stated_sizes)
    fits_real = _fits(boxes, real_sizes)
    scale = False
    if (
        all(same_shape(stated, real) for _, stated, real in differing)
        and fits_stated
        and (not fits_real or (len(boxes) >= _MIN_BOXES and (stated_sizes < real_sizes).all()))
    ):
        scale = True
        action = "of the same shape, which their boxes fit: the boxes are scaled to the images"
    elif fits_real:
        action = "which their boxes fit: the boxes are used as they are"
        if all(stated == real[::-1] for _, stated, real in differing):
            action = f"with width and height exchanged; {action}"
    else:
        action = "and boxes leave them: the boxes are used as they are and may be misplaced; check them"
    return SizeAdjuster(Problem(common_file(root, images), f"{fact}, {action}"), scale)


def _judge(image: ImageAnnotations, stated: _Size, real: _Size) -> Literal["scale", "drop", "keep"]:
    """Return what to do about an image of another size than stated, among images that have their stated sizes."""
    boxes, stated_sizes, real_sizes = _boxes([(image, stated, real)])
    if not len(boxes) or (_fits(boxes, real_sizes) and not _fits(boxes, stated_sizes)):
        return "keep"
    return "scale" if same_shape(stated, real) else "drop"


def _describe(differing: Sequence[_Entry], total: int) -> str:
    image, stated, real = differing[0]
    assert image.path is not None
    example = f"{image.path.name} with {real[1]}×{real[0]}, not {stated[1]}×{stated[0]}"
    have = "has" if len(differing) == 1 else "have"
    return f"{len(differing)} of {count(total, 'image')} {have} another size than the labels state (such as {example})"


def _boxes(images: Sequence[_Entry]) -> tuple[Numbers, Numbers, Numbers]:
    """Return the finite boxes, xyxy [N, 4], with the stated and the actual (height, width) of their images, [N, 2]."""
    rows = [(*box.box_xyxy, *stated, *real) for image, stated, real in images for box in image.boxes]
    table = np.array(rows, np.float64).reshape(-1, 8)
    table = table[np.isfinite(table).all(axis=1)]
    return table[:, :4], table[:, 4:6], table[:, 6:]


def _fits(boxes_xyxy: Numbers, sizes: Numbers) -> bool:
    outside = int((~fits_inside(boxes_xyxy, sizes)).sum())
    return outside <= _RIGHT_SHARE * len(boxes_xyxy)
