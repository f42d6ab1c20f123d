"""The function that resizes images for a network, by the name of its method.

"halve-bilinear" is defined in :mod:`edge_ssd.runtime.resize_plan`. OpenCV and NumPy give the same pixels.
"pillow-bilinear" is Pillow's antialiased filter, which earlier models were trained with.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import logging
import os
import sys
from collections.abc import Callable

import numpy as np

from edge_ssd.network import Resampling
from edge_ssd.runtime.resize_numpy import numpy_resize
from edge_ssd.runtime.resize_opencv import opencv_resize
from edge_ssd.runtime.resize_plan import ImageArray

__all__ = [
    "HALVE_BILINEAR",
    "ImageArray",
    "Resize",
    "halve_bilinear",
    "numpy_resize",
    "opencv_resize",
    "pillow_bilinear",
    "prepare_resize",
    "resize_with",
    "uses_opencv",
]

_log = logging.getLogger(__name__)

Resize = Callable[[ImageArray, tuple[int, int]], ImageArray]
"""An image, uint8 RGB [H, W, 3], and the target (height, width) → uint8 [height, width, 3]."""

_CALLS_BEFORE_OPENCV = 10  # its import takes longer than resizing some images without it
_OPENCV_MAX_SIDE = 2**15 - 1


def halve_bilinear(image: ImageArray, size: tuple[int, int], out: ImageArray | None = None) -> ImageArray:
    """Resize uint8 [H, W, 3] to ``size`` (height, width) with OpenCV if it is installed, else with NumPy.

    OpenCV is used once the program has imported it, and imported here after some calls. The result is in ``out``,
    uint8 and contiguous, if it is given.
    """
    if max(image.shape) <= _OPENCV_MAX_SIDE and uses_opencv():
        return opencv_resize(image, size, out)
    return numpy_resize(image, size, out)


def pillow_bilinear(image: ImageArray, size: tuple[int, int]) -> ImageArray:
    """Resize uint8 RGB [H, W, 3] to ``size`` (height, width) with Pillow's antialiased bilinear filter."""
    from PIL import Image  # here, since other models need no Pillow

    if image.strides[2] < 0:  # BGR seen as RGB, which Pillow would have to copy
        return np.ascontiguousarray(pillow_bilinear(image[..., ::-1], size)[..., ::-1])
    height, width = size
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_with(resampling: Resampling) -> Resize:
    """Return the function that resizes with the given method."""
    return pillow_bilinear if resampling == "pillow-bilinear" else halve_bilinear


HALVE_BILINEAR = (halve_bilinear, numpy_resize, opencv_resize)
"""The functions of the method "halve-bilinear": they give the same pixels, and write them to an argument ``out``."""

_calls = itertools.count()


def uses_opencv() -> bool:
    """Return whether OpenCV resizes now: the program has imported it, or enough images were resized without it."""
    if "cv2" not in sys.modules and next(_calls) < _CALLS_BEFORE_OPENCV:
        return False
    return _process_of_opencv() == os.getpid()


def prepare_resize() -> None:
    """Import OpenCV now, if it is installed: for a program that resizes many images and must not pause later."""
    _process_of_opencv()


@functools.cache
def _process_of_opencv() -> int | None:
    """Return the process in which OpenCV loads and gives the pixels of NumPy; None if it does not.

    A process forked from that one resizes with NumPy: the locks of OpenCV's threads may be held for ever there.
    """
    if "cv2" not in sys.modules and importlib.util.find_spec("cv2") is None:
        return None
    try:
        image = np.random.default_rng(0).integers(0, 256, (90, 172, 3), np.uint8)
        for size in ((40, 80), (43, 21), (10, 41), (120, 173)):
            if not np.array_equal(opencv_resize(image, size), numpy_resize(image, size)):
                _log.warning("OpenCV resizes differently than expected; images are resized with NumPy")
                return None
    except Exception as error:  # an incomplete or incompatible installation raises nearly anything
        _log.debug("OpenCV cannot be used: %s", error)
        return None
    return os.getpid()
