"""JPEG encoding, with OpenCV where it is loaded, else with Pillow."""

from __future__ import annotations

import io
import sys

from device_apps.sources.frames import Image

__all__ = ["encode_jpeg"]


def encode_jpeg(image: Image, quality: int) -> bytes:
    """Encode a uint8 RGB image [H, W, 3] as a baseline JPEG of ``quality`` 1–100."""
    cv2 = sys.modules.get("cv2")
    if cv2 is not None:
        succeeded, data = cv2.imencode(
            ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
        if succeeded:
            return bytes(data)
    file = io.BytesIO()
    from PIL import Image as PillowImage

    PillowImage.fromarray(image).save(file, "JPEG", quality=quality)
    return file.getvalue()
