"""From a result to the JPEG that a browser shows, as cheaply as this machine can.

The picture is scaled first and drawn then: boxes and text cost less and stay sharp. OpenCV is faster than Pillow at
scaling and encoding and lets other threads run meanwhile, but it is only used where the source has loaded it already:
to load it for this alone would cost a board more memory than all the rest of the preview.
"""

from __future__ import annotations

import dataclasses
import io
import sys
from typing import NamedTuple

import numpy as np
from PIL import Image as PillowImage

from device_apps.results import FrameResult
from device_apps.sources.frames import Image
from edge_ssd.drawing import draw_detections
from edge_ssd.runtime.detections import Detections

__all__ = ["FULL", "PREVIEW", "JpegProfile", "draw_result", "encode"]


class JpegProfile(NamedTuple):
    """What a picture is for.

    Attributes:
        longest_side: in pixels; larger pictures are scaled down to it. None keeps the size.
        quality: of the JPEG, 1–100.
    """

    longest_side: int | None
    quality: int


PREVIEW = JpegProfile(640, 75)
FULL = JpegProfile(None, 90)


def draw_result(result: FrameResult, kind: JpegProfile) -> Image:
    """The picture of a result with its boxes, uint8 RGB [H, W, 3], in the size that ``kind`` says.

    Changes nothing in the result, which another thread may be using.
    """
    image, detections = result.frame.image, result.detections
    height, width = image.shape[:2]
    longest = kind.longest_side
    if longest is not None and max(height, width) > longest:
        size = max(1, round(width * longest / max(height, width))), max(1, round(height * longest / max(height, width)))
        image, detections = _scale(image, size), _scale_boxes(detections, size)
    return draw_detections(image, detections)


def encode(image: Image, quality: int) -> bytes:
    """A baseline JPEG of a uint8 RGB picture."""
    cv2 = sys.modules.get("cv2")
    if cv2 is not None:
        done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done:
            return bytes(data)
    file = io.BytesIO()
    PillowImage.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _scale(image: Image, size: tuple[int, int]) -> Image:
    cv2 = sys.modules.get("cv2")
    if cv2 is not None:
        scaled: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return scaled
    return np.asarray(PillowImage.fromarray(image).resize(size, PillowImage.Resampling.BILINEAR, reducing_gap=1.0))


def _scale_boxes(detections: Detections, size: tuple[int, int]) -> Detections:
    height, width = detections.image_size
    factors = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return dataclasses.replace(detections, xyxy=detections.xyxy * factors, image_size=(size[1], size[0]))
