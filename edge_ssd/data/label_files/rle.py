"""Bounding boxes of masks in COCO's run-length encoding.

Source: https://github.com/cocodataset/cocoapi, common/maskApi.c. The runs alternate between 0 and 1, start with 0, and
go down the columns of the mask. The text form of the counts has 5 bits in a character, and each count after the third
is stored as the difference from the one two before it.
"""

from __future__ import annotations

import numpy as np

from edge_ssd.data.label_files.json_values import get, to_numbers
from edge_ssd.data.label_files.shapes import Box

__all__ = ["enclose_rle"]

_MAX_SHIFT = 60


def enclose_rle(rle: object, image_size: tuple[int, int] | None = None) -> Box:
    """Return the box, xyxy in pixels, around a mask ``{"counts": list or text, "size": [height, width]}``.

    Args:
        image_size: (height, width) of the image, to which the box of a smaller or larger mask is scaled; None if it is
            unknown.

    Raises:
        ValueError: the mask is empty or invalid, or has another shape than the image.
    """
    counts, (height, width) = get(rle, "counts"), to_numbers(get(rle, "size"), 2)
    runs = np.array(_decode_counts(counts) if isinstance(counts, str) else to_numbers(counts), np.float64)
    if not (runs >= 0).all() or runs.sum() > height * width:
        raise ValueError("the runs of a mask exceed its size")
    ends = np.cumsum(runs)
    starts = ends - runs
    # Runs of ones that are not empty.
    is_object = (np.arange(len(runs)) % 2 == 1) & (runs > 0)
    starts, last = starts[is_object], ends[is_object] - 1
    if not len(starts):
        raise ValueError("the mask is empty")
    first_column, last_column = starts // height, last // height
    # A run that continues in the next column covers the bottom of one and the top of the other.
    continues = bool((first_column < last_column).any())
    ymin = 0.0 if continues else float((starts % height).min())
    ymax = float(height) if continues else float((last % height).max() + 1)
    box = float(first_column.min()), ymin, float(last_column.max() + 1), ymax
    if image_size is None or image_size == (height, width):
        return box
    return _scale(box, (height, width), image_size)


def _scale(box_xyxy: Box, mask_size: tuple[float, float], image_size: tuple[int, int]) -> Box:
    (mask_height, mask_width), (height, width) = mask_size, image_size
    if abs(mask_width * height - mask_height * width) > max(image_size):  # a side of the mask is rounded
        raise ValueError(f"the mask has {mask_width:g}×{mask_height:g}, its image {width}×{height}")
    x, y = width / mask_width, height / mask_height
    xmin, ymin, xmax, ymax = box_xyxy
    return xmin * x, ymin * y, xmax * x, ymax * y


def _decode_counts(text: str) -> list[float]:
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if shift > _MAX_SHIFT:
            raise ValueError("a run of a mask is no number")
        if bits & 0x20:
            continue
        if bits & 0x10:  # a negative number
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return [float(count) for count in counts]
