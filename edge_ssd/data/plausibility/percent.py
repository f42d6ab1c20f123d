"""Whether boxes of a format with pixels are in percent of their images, or in 0–1000.

Numbers up to 100 fit most images as pixels too. But boxes in pixels are spread over their images, while boxes in
percent end where the hundredth pixel of a larger image would be. In images of 100 pixels both are the same.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from edge_ssd.data.box_layouts import Numbers, to_xyxy
from edge_ssd.data.plausibility.evidence import fits_inside

__all__ = ["PERCENT_MAX", "judge_percent", "may_be_per_mille"]

PERCENT_MAX = 101.0
"""Largest number of a box in percent, with a tolerance for rounding."""

# Share of the boxes that leave the image in percent, if they are in percent, at most.
_RIGHT_SHARE = 0.02
# Boxes that are needed for a probable and for a possible answer.
_MIN_PROBABLE, _MIN_POSSIBLE = 8, 3
# Pixels of the shorter side of an image that boxes of at most 100 pixels would hardly use.
_LARGE_SIDE = 200
# Largest corners of a set of boxes in percent at least: some object is beyond the middle of its image, on both axes. In
# images that are not large, it has to be nearer to the border.
_MIN_MAX, _MIN_MAX_SMALL = 50, 75
# Logarithm of how improbable it is that boxes anywhere in their images, in pixels, all end before 101: per box, for
# images that are larger than 101 by enough, and for all boxes.
_MIN_PER_BOX, _MIN_IMPROBABLE, _MIN_DOUBTFUL = 0.4, 8.0, 3.0


def judge_percent(numbers: Numbers, sizes: Numbers, layout: str) -> Literal["no", "possible", "probable"]:
    """Return whether boxes seem to be in percent.

    Args:
        numbers: four numbers per box [N, 4], of which the format says that they are in pixels.
        sizes: (height, width) of their images, [N, 2].
    """
    corners = to_xyxy(numbers, layout)
    if len(corners) < _MIN_POSSIBLE or numbers.min() < 0 or corners.max() > PERCENT_MAX:
        return "no"
    in_percent = corners * sizes[:, [1, 0, 1, 0]] / 100
    low = corners[:, 2:].max(axis=0).min()
    if low <= _MIN_MAX or (~fits_inside(in_percent, sizes)).mean() > _RIGHT_SHARE:
        return "no"
    if len(corners) >= _MIN_PROBABLE and sizes.min() >= _LARGE_SIDE:
        return "probable"
    improbable = float(np.log(np.maximum(sizes / PERCENT_MAX, 1)).sum())
    if low > _MIN_MAX_SMALL:
        if len(corners) >= _MIN_PROBABLE and improbable >= max(_MIN_IMPROBABLE, _MIN_PER_BOX * len(corners)):
            return "probable"
        if improbable >= _MIN_DOUBTFUL or not fits_inside(corners, sizes).all():
            return "possible"
    return "no"


def may_be_per_mille(numbers: Numbers, sizes: Numbers, layout: str) -> bool:
    """Return whether boxes seem to be in 0–1000 of their images, as language models write them.

    Arguments are those of :func:`judge_percent`. The images have to be larger, else such boxes leave them.
    """
    return numbers.max() > PERCENT_MAX and judge_percent(numbers / 10, sizes / 10, layout) == "probable"
