"""The method "halve-bilinear" with OpenCV; see :mod:`edge_ssd.runtime.resize_plan`."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_ssd.errors import SettingError
from edge_ssd.runtime.resize_plan import ImageArray, plan_for
from edge_ssd.runtime.workspace import Workspace

__all__ = ["opencv_resize", "require_opencv"]

_workspace = Workspace()


def require_opencv() -> Any:
    """Import OpenCV; raise SettingError, which says what to install, if it does not load."""
    try:
        import cv2
    except ImportError as error:
        raise SettingError(
            f"opencv_resize() needs OpenCV ({error}); install it with: pip install opencv-python-headless"
        ) from None
    return cv2


def opencv_resize(image: ImageArray, size: tuple[int, int], out: ImageArray | None = None) -> ImageArray:
    """Resize uint8 [H, W, 3] to ``size`` (height, width); into ``out``, contiguous, if it is given.

    Raises SettingError if OpenCV does not load, ImageError or SettingError for any other image, size or ``out``.
    """
    cv2 = require_opencv()
    steps, size = plan_for(image, size, out)
    if image.strides[2] < 0:  # BGR seen as RGB: the channels of the small image are exchanged instead
        small = opencv_resize(image[..., ::-1], size, _workspace.array("reversed", (*size, 3)))
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=out), np.uint8)
    result: Any = steps.crop(image)
    if result.strides[1:] != (3, 1) or result.strides[0] < 0:
        result = np.ascontiguousarray(result)
    for number, (rows, columns) in enumerate(steps.halvings):
        height, width = result.shape[0] // rows, result.shape[1] // columns
        # INTER_AREA rounds the mean of two pixels to even, INTER_LINEAR_EXACT rounds it up.
        how = cv2.INTER_AREA if rows == columns else cv2.INTER_LINEAR_EXACT
        halved = out if (height, width) == size else _workspace.array(f"halved {number % 2}", (height, width, 3))
        result = cv2.resize(result, (width, height), dst=halved, interpolation=how)
    if result.shape[:2] != size or not steps.halvings:
        result = cv2.resize(result, size[::-1], dst=out, interpolation=cv2.INTER_LINEAR_EXACT)
    return np.asarray(result, np.uint8)
