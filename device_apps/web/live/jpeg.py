"""Draw a result and encode it as JPEG.

The image is scaled before the boxes are drawn, so that boxes and text cost less and stay sharp. OpenCV scales and
encodes faster than Pillow and releases the GIL, but is only used if the source has imported it already: importing it
would take more memory than the rest of the preview.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
from PIL import Image as PillowImage

from device_apps.results import FrameResult
from device_apps.sources.frames import Image

__all__ = ["FULL", "PLAIN", "PREVIEW", "THUMBNAIL", "JpegProfile", "render"]


class JpegProfile(NamedTuple):
    """Settings of a JPEG.

    Attributes:
        max_side: maximum of height and width in pixels; None keeps the size.
        quality: 1–100.
        boxes: whether the detections are drawn.
    """

    max_side: int | None
    quality: int
    boxes: bool = True


PREVIEW = JpegProfile(640, 75)
PLAIN = JpegProfile(640, 75, boxes=False)
"""For the page, which draws the boxes itself: each viewer chooses which ones."""
FULL = JpegProfile(None, 90)
THUMBNAIL = JpegProfile(400, 70)
"""For the overview of several cameras."""


def render(result: FrameResult, profile: JpegProfile) -> Image:
    """Return the frame of a result as ``profile`` describes it, uint8 RGB [H, W, 3].

    The result itself, which other threads may be using, is not modified.
    """
    detections, max_side = result.detections, profile.max_side
    image = result.frame.at_least(max_side)
    height, width = result.frame.size
    if max_side is not None and max(height, width) > max_side:
        scale = max_side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image, detections = _scale(image, size), detections.scaled(size[::-1])
    return result.draw(image, detections) if profile.boxes else image


def _scale(image: Image, size: tuple[int, int]) -> Image:
    cv2 = sys.modules.get("cv2")
    if cv2 is not None:
        scaled: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return scaled
    return np.asarray(PillowImage.fromarray(image).resize(size, PillowImage.Resampling.BILINEAR, reducing_gap=1.0))
