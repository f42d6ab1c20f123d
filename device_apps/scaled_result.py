"""Results at the size of a video, which is often smaller than the frames of a camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from device_apps.results import FrameResult
from device_apps.sources.opencv import load_opencv

__all__ = ["limit_width", "limited_size"]


def limited_size(size: tuple[int, int], max_width: int) -> tuple[int, int]:
    """Return (height, width) of an image that is scaled down to at most ``max_width`` pixels."""
    height, width = size
    return size if width <= max_width else (max(1, round(height * max_width / width)), max_width)


def limit_width(result: FrameResult, max_width: int) -> FrameResult:
    """Return a result with its image and boxes scaled down to at most ``max_width``; a narrower one itself."""
    size = limited_size(result.frame.size, max_width)
    if size == result.frame.size:
        return result
    pixels = result.frame.pixels  # For the detector: as large as the video, or smaller.
    if pixels.shape[1] < max_width:
        pixels = result.frame.image
    # The view of a BGR frame is not converted, only its small image.
    flip = slice(None, None, 1 if pixels.flags.c_contiguous else -1)
    cv2 = load_opencv()
    image = cv2.resize(pixels[..., flip], size[::-1], interpolation=cv2.INTER_AREA)
    image = np.ascontiguousarray(image[..., flip], np.uint8)
    return FrameResult(replace(result.frame, captured=image), result.detections.scaled(size), {}, result.draw)
