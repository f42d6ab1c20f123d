"""Definition of the method "halve-bilinear", which shrinks by areas first and interpolates the rest.

All steps are integer arithmetic, so that NumPy and OpenCV give the same pixels on every machine:

1. *Plan.* Both sides are halved while each half has at least 7/8 of the pixels of its target. Then one side is halved
   while its half has at least the pixels of its target. 480×640 → 256×256 is halved to 240×320; 720×1280 to 360×640 and
   then to 360×320.
2. *Crop.* What halving would leave over, less than one pixel of the halved image, is cut off: half of it on the left
   (top), rounded down, and the rest on the right (bottom).
3. *Halve.* Both sides: the mean of 2×2 pixels, ``(a + b + c + d + 2) // 4``. One side: ``(a + b + 1) // 2``.
4. *Interpolate.* Bilinear between pixel centers, clamped at the edges, with weights rounded to 1/256 (ties to even) and
   the weighted sum, in units of 1/65536, rounded once, halves up: OpenCV's ``INTER_LINEAR_EXACT``.

Source of step 4: OpenCV, modules/imgproc/src/resize.cpp and fixedpoint.inl.hpp.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.checks import as_size, shortened
from edge_ssd.errors import ImageError, SettingError

__all__ = ["ImageArray", "Plan", "plan", "plan_for", "taps"]

ImageArray = npt.NDArray[np.uint8]

_MAX_PIXELS = 2**28  # of the result: more than any network has; it would take all memory


class Plan(NamedTuple):
    """Halvings before the interpolation: ``both`` of both sides, then ``rows`` or ``columns`` of one side."""

    both: int
    rows: int
    columns: int

    @property
    def halvings(self) -> list[tuple[int, int]]:
        """Each halving in order, as (rows, columns) of the pixels whose mean is taken."""
        return [(2, 2)] * self.both + [(2, 1)] * self.rows + [(1, 2)] * self.columns

    def crop(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the view of an image [H, W, …] whose sides can be halved without a remainder."""
        height, width = image.shape[:2]
        extra_rows, extra_columns = height % 2 ** (self.both + self.rows), width % 2 ** (self.both + self.columns)
        top, left = extra_rows // 2, extra_columns // 2
        return image[top : top + height - extra_rows, left : left + width - extra_columns]


def plan_for(image: Any, size: tuple[int, int], out: Any = None) -> tuple[Plan, tuple[int, int]]:
    """Return the halvings that resize an image to ``size``, into ``out`` if it is given, and the checked size.

    Raises:
        ImageError: not an array, uint8 [H, W, 3] with at least one pixel.
        SettingError: not a height and width of at least 1, or ``out`` cannot hold the result.
    """
    shape: tuple[int, ...] = getattr(image, "shape", ())
    if len(shape) != 3 or shape[2] != 3 or 0 in shape or image.dtype != np.uint8:
        got = f"{image.dtype} {list(shape)}" if isinstance(image, np.ndarray) else shortened(image)
        raise ImageError(f"an image to resize must be a uint8 array [H, W, 3], got {got}")
    height, width = as_size("size", size)
    if height * width > _MAX_PIXELS:
        raise SettingError(f"size must have at most {_MAX_PIXELS} pixels, got {shortened(size)}")
    if out is not None:
        _require_output(out, (height, width, 3))
    return plan(shape[:2], (height, width)), (height, width)


def _require_output(out: Any, shape: tuple[int, int, int]) -> None:
    if isinstance(out, np.ndarray) and out.dtype == np.uint8 and out.shape == shape:
        flags = out.flags
        if flags.c_contiguous and flags.writeable:
            return
        got = "a read-only one" if flags.c_contiguous else f"one with strides {list(out.strides)}"
    else:
        got = f"{out.dtype} {list(out.shape)}" if isinstance(out, np.ndarray) else shortened(out)
    raise SettingError(f"out must be a contiguous, writable uint8 array {list(shape)}, got {got}")


@functools.lru_cache(maxsize=64)
def plan(source: tuple[int, int], target: tuple[int, int]) -> Plan:
    """Return the halvings that resize ``source`` (height, width) towards ``target``."""
    (height, width), (target_height, target_width) = source, target
    both = rows = columns = 0
    while 8 * (height // 2) >= 7 * target_height and 8 * (width // 2) >= 7 * target_width:
        height, width, both = height // 2, width // 2, both + 1
    while height // 2 >= target_height:
        height, rows = height // 2, rows + 1
    while width // 2 >= target_width:
        width, columns = width // 2, columns + 1
    return Plan(both, rows, columns)


@functools.lru_cache(maxsize=64)
def taps(source: int, target: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.uint16]]:
    """Return for each of ``target`` pixels its two pixels of ``source``, and the second's weight in units of 1/256."""
    position = (np.arange(target) + 0.5) * (1 / (target / source)) - 0.5  # in the order of OpenCV, for its rounding
    first = np.floor(position).astype(np.intp)
    weight = np.rint((position - first) * 256).astype(np.uint16)
    weight[(first < 0) | (first >= source - 1)] = 0
    return first.clip(0, source - 1), (first + 1).clip(0, source - 1), weight
