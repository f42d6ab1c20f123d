"""JPEG encoding, with OpenCV where it is loaded, else with Pillow; the comment of a JPEG file."""

from __future__ import annotations

import io
import sys

from device_apps.sources.frames import Image

__all__ = ["MAX_COMMENT_BYTES", "bounded_jpeg", "encode_jpeg", "read_comment", "reduced_jpeg", "with_comment"]

MAX_COMMENT_BYTES = 65533  # The length of a segment has 16 bits and counts itself (ITU-T T.81, B.2.4.5).

_START, _COMMENT, _APP0, _SCAN = b"\xff\xd8", 0xFE, 0xE0, 0xDA


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


def reduced_jpeg(jpeg: bytes, max_side: int, quality: int = 80) -> bytes:
    """Return a JPEG scaled down to at most ``max_side`` pixels on its longer side.

    It is decoded at an eighth, a quarter or half of its size where that is enough. Raises OSError or ValueError if it
    cannot be decoded.
    """
    from PIL import Image as PillowImage

    with PillowImage.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
        image.draft("RGB", (max_side, max_side))
        image.thumbnail((max_side, max_side))
        file = io.BytesIO()
        image.convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()


def bounded_jpeg(jpeg: bytes, max_bytes: int) -> bytes:
    """Return a JPEG scaled down to 800 pixels on its longer side, or further, until it has at most ``max_bytes``."""
    for side in (800, 640, 400, 200):
        reduced = reduced_jpeg(jpeg, side)
        if len(reduced) <= max_bytes:
            break
    return reduced


def with_comment(jpeg: bytes, comment: bytes) -> bytes:
    """Return a JPEG with a comment of at most 65 533 bytes, which no decoder shows."""
    position = len(_START)
    if jpeg[position : position + 2] == bytes((0xFF, _APP0)):  # JFIF: its segment is the first one.
        position += 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
    segment = bytes((0xFF, _COMMENT)) + (len(comment) + 2).to_bytes(2, "big") + comment
    return jpeg[:position] + segment + jpeg[position:]


def read_comment(jpeg: bytes) -> bytes | None:
    """Return the first comment of a JPEG, or None."""
    position = len(_START)
    while jpeg[position : position + 1] == b"\xff" and len(jpeg) >= position + 4:
        kind, length = jpeg[position + 1], int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if kind == _COMMENT:
            return jpeg[position + 4 : position + 2 + length]
        if kind == _SCAN or length < 2:
            break
        position += 2 + length
    return None
