"""The resize of the network's input, with the same pixels from NumPy and from OpenCV.

"halve-bilinear" shrinks by areas first and interpolates the rest; all steps are exact integer arithmetic:

1. *Plan.* Both sides are halved while each half has at least 7/8 of the pixels of its target. Then one side is halved
   while its half has at least the pixels of its target. 480×640 → 256×256 is halved to 240×320; 720×1280 to 360×640 and
   then to 360×320.
2. *Crop.* The pixels that halving would leave over, less than one pixel of the halved image on each side, are cut off,
   as many on the left (top) as on the right (bottom), or one more there.
3. *Halve.* Both sides: the mean of 2×2 pixels, ``(a + b + c + d + 2) // 4``. One side: ``(a + b + 1) // 2``.
4. *Interpolate.* Bilinear between pixel centers, clamped at the edges, with weights rounded to 1/256 (ties to even) and
   the weighted sum, in units of 1/65536, rounded once: OpenCV's ``INTER_LINEAR_EXACT``.

"pillow-bilinear" is Pillow's antialiased filter, which earlier models were trained with.

Source of step 4: OpenCV, modules/imgproc/src/resize.cpp and fixedpoint.inl.hpp.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import logging
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.network import Resampling

__all__ = ["ImageArray", "Resize", "halve_bilinear", "numpy_resize", "opencv_resize", "pillow_bilinear", "resize_with"]

_log = logging.getLogger(__name__)

ImageArray = npt.NDArray[np.uint8]
Resize = Callable[[ImageArray, tuple[int, int]], ImageArray]
"""An image, uint8 RGB [H, W, 3], and the target (height, width) → uint8 [height, width, 3]."""

_CALLS_BEFORE_OPENCV = 10  # its import takes longer than resizing some images without it
_OPENCV_MAX_SIDE = 2**15 - 1


class Plan(NamedTuple):
    """Halvings before the interpolation: ``both`` of both sides, then ``rows`` or ``columns`` of one side."""

    both: int
    rows: int
    columns: int

    def crop(self, image: ImageArray) -> ImageArray:
        """Return the view of an image [H, W, …] whose sides can be halved without a remainder."""
        height, width = image.shape[:2]
        extra_rows, extra_columns = height % 2 ** (self.both + self.rows), width % 2 ** (self.both + self.columns)
        top, left = extra_rows // 2, extra_columns // 2
        return image[top : top + height - extra_rows, left : left + width - extra_columns]


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


def halve_bilinear(image: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Resize uint8 [H, W, 3] to ``size`` (height, width) with OpenCV if it is installed, else with NumPy.

    OpenCV is used once the program has imported it, and imported here after some calls.
    """
    cv2 = _opencv()
    if cv2 is None or max(image.shape) > _OPENCV_MAX_SIDE:
        return numpy_resize(image, size)
    return _resize_with_opencv(cv2, image, size)


def opencv_resize(image: ImageArray, size: tuple[int, int]) -> ImageArray:
    """As :func:`halve_bilinear`, with OpenCV; raise ImportError if it does not load."""
    import cv2

    return _resize_with_opencv(cv2, image, size)


def pillow_bilinear(image: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Resize uint8 RGB [H, W, 3] to ``size`` (height, width) with Pillow's antialiased bilinear filter."""
    from PIL import Image  # here, since other models need no Pillow

    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_with(resampling: Resampling) -> Resize:
    """Return the function that resizes with the given method."""
    return pillow_bilinear if resampling == "pillow-bilinear" else halve_bilinear


def numpy_resize(image: ImageArray, size: tuple[int, int]) -> ImageArray:
    """As :func:`halve_bilinear`, with NumPy."""
    steps = plan(image.shape[:2], size)
    # Planes of a channel: NumPy is fast along the columns, and slow along three channels.
    planes = steps.crop(image).transpose(2, 0, 1)
    for _ in range(steps.both):
        planes = _halve_both(planes)
    for _ in range(steps.rows):
        planes = _halve_one(planes[:, 0::2], planes[:, 1::2])
    for _ in range(steps.columns):
        planes = _halve_one(planes[..., 0::2], planes[..., 1::2])
    if planes.shape[1:] == size:
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    return _interpolate(np.ascontiguousarray(planes), size)


def _halve_both(planes: ImageArray) -> ImageArray:
    pairs = np.add(planes[:, 0::2], planes[:, 1::2], dtype=np.uint16)
    sums = np.empty((len(planes), pairs.shape[1], pairs.shape[2] // 2), np.uint16)
    for pair, total in zip(pairs, sums, strict=True):
        np.add(pair[:, 0::2], pair[:, 1::2], out=total)
    sums += 2
    sums >>= 2
    return sums.astype(np.uint8)


def _halve_one(first: ImageArray, second: ImageArray) -> ImageArray:
    sums = np.add(first, second, dtype=np.uint16)
    sums += 1
    sums >>= 1
    return sums.astype(np.uint8)


def _interpolate(planes: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Return planes [3, H, W], interpolated to ``size``, as uint8 [height, width, 3].

    The sums are integers below 2²⁴, which float32 holds exactly.
    """
    top, bottom, bottom_weight = _taps(planes.shape[1], size[0])
    left, right, right_weight = _taps(planes.shape[2], size[1])
    rows = planes.take(left, axis=2) * (256 - right_weight)
    rows += planes.take(right, axis=2) * right_weight
    values = rows.astype(np.float32)
    weight = bottom_weight.astype(np.float32)[:, None]
    result = values.take(top, axis=1) * (256 - weight)
    result += values.take(bottom, axis=1) * weight
    result += 2**15
    result *= np.float32(2**-16)
    image = np.empty((*size, 3), np.uint8)
    for channel, plane in enumerate(result):
        np.copyto(image[..., channel], plane, casting="unsafe")  # rounds down
    return image


@functools.lru_cache(maxsize=64)
def _taps(source: int, target: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.uint16]]:
    """Return for each of ``target`` pixels its two pixels of ``source``, and the second's weight in units of 1/256."""
    position = (np.arange(target) + 0.5) * (1 / (target / source)) - 0.5  # in the order of OpenCV, for its rounding
    first = np.floor(position).astype(np.intp)
    weight = np.rint((position - first) * 256).astype(np.uint16)
    weight[(first < 0) | (first >= source - 1)] = 0
    return first.clip(0, source - 1), (first + 1).clip(0, source - 1), weight


def _resize_with_opencv(cv2: ModuleType, image: ImageArray, size: tuple[int, int]) -> ImageArray:
    if image.strides[2] < 0:  # BGR seen as RGB: the channels of the small image are reversed instead
        return np.ascontiguousarray(_resize_with_opencv(cv2, image[..., ::-1], size)[..., ::-1])
    steps = plan(image.shape[:2], size)
    result: Any = steps.crop(image)
    if result.strides[1:] != (3, 1) or result.strides[0] < 0:
        result = np.ascontiguousarray(result)
    halvings = [(2, 2)] * steps.both + [(2, 1)] * steps.rows + [(1, 2)] * steps.columns
    for rows, columns in halvings:
        height, width = result.shape[:2]
        # INTER_AREA rounds the mean of two pixels to even, INTER_LINEAR_EXACT rounds it up.
        how = cv2.INTER_AREA if rows == columns else cv2.INTER_LINEAR_EXACT
        result = cv2.resize(result, (width // columns, height // rows), interpolation=how)
    if result.shape[:2] != size:
        result = cv2.resize(result, size[::-1], interpolation=cv2.INTER_LINEAR_EXACT)
    return np.asarray(result, np.uint8)


_calls = itertools.count()


def _opencv() -> ModuleType | None:
    """Return OpenCV if the program has imported it or enough images were resized, and its results are correct."""
    if "cv2" not in sys.modules and next(_calls) < _CALLS_BEFORE_OPENCV:
        return None
    return _usable_opencv()


@functools.cache
def _usable_opencv() -> ModuleType | None:
    if "cv2" not in sys.modules and importlib.util.find_spec("cv2") is None:
        return None
    try:
        import cv2

        image = np.random.default_rng(0).integers(0, 256, (90, 172, 3), np.uint8)
        for size in ((40, 80), (43, 21), (10, 41), (120, 173)):
            if not np.array_equal(_resize_with_opencv(cv2, image, size), numpy_resize(image, size)):
                _log.warning("OpenCV %s resizes differently; images are resized with NumPy", cv2.__version__)
                return None
    except Exception as error:  # an incomplete or incompatible installation raises nearly anything
        _log.debug("OpenCV cannot be used: %s", error)
        return None
    return cv2
