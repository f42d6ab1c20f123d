"""Boxes and labels drawn into a picture, without OpenCV, so that a board that has none can do it.

A loop draws every frame, so the picture is copied once and painted with NumPy's slices; only the letters need Pillow,
and a label with its score is written once and then kept.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from device_apps.sources.frames import Image
from edge_ssd.runtime.detections import Detections

__all__ = ["colour_of", "draw"]

_Colour = tuple[int, int, int]

_GOLDEN = 0.618034  # Turns of hue from one class to the next: neighbours differ most, and none repeats soon.
_FIRST_HUE = 0.33


def draw(image: Image, detections: Detections) -> Image:
    """A copy of ``image`` (uint8 RGB [H, W, 3]) with a box and a label with its score for each detection.

    Line width and text grow with the picture. A label goes above its box, or inside where there is no room, and
    shrinks to the score, or to nothing, where the picture is too narrow for it. The best is drawn last, on top.
    """
    canvas = image.copy()
    height, width = image.shape[:2]
    line = max(1, round(min(height, width) / 240))
    text_size = max(11, round(min(height, width) / 32))
    for label, score, box, class_id in reversed(list(detections)):
        colour = colour_of(class_id)
        left, top, right, bottom = (round(value) for value in box)
        right, bottom = max(left, min(right, width - 1)), max(top, min(bottom, height - 1))
        _outline(canvas, (left, top, right, bottom), line, colour)
        for text in (f"{label} {score:.0%}", f"{score:.0%}"):
            plate = _plate(text, colour, text_size)
            if plate.shape[0] <= height // 2 and plate.shape[1] <= width:
                _paste(canvas, plate, (left, top))
                break
    return canvas


def _outline(canvas: Image, box: tuple[int, int, int, int], line: int, colour: _Colour) -> None:
    """The edge of a box whose corners are pixels in it, ``line`` pixels wide, inwards."""
    left, top, right, bottom = box
    lower, inner = max(top, bottom + 1 - line), max(left, right + 1 - line)
    for rows, columns in (
        (slice(top, min(top + line, bottom + 1)), slice(left, right + 1)),
        (slice(lower, bottom + 1), slice(left, right + 1)),
        (slice(top, bottom + 1), slice(left, min(left + line, right + 1))),
        (slice(top, bottom + 1), slice(inner, right + 1)),
    ):
        canvas[rows, columns] = colour


def _paste(canvas: Image, plate: Image, corner: tuple[int, int]) -> None:
    """Put a label on a box's upper left corner (x, y): above it, or inside where there is no room."""
    height, width = plate.shape[:2]
    x = max(0, min(corner[0], canvas.shape[1] - width))
    y = corner[1] - height if corner[1] >= height else min(corner[1], canvas.shape[0] - height)
    canvas[y : y + height, x : x + width] = plate


@lru_cache(maxsize=1024)
def colour_of(class_id: int) -> _Colour:
    """The RGB colour of a class: bright, and far from that of its neighbours."""
    red, green, blue = colorsys.hsv_to_rgb((_FIRST_HUE + class_id * _GOLDEN) % 1, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache(maxsize=128)  # 1 MB for 640×480, 16 MB for 3840×2160
def _plate(text: str, colour: _Colour, size: int) -> Image:
    """Text on a ground of its class's colour, uint8 RGB."""
    font, pad = _font(size), 2
    measure = ImageDraw.Draw(PillowImage.new("RGB", (1, 1)))
    left, top, right, bottom = (round(value) for value in measure.textbbox((0, 0), text, font=font))
    plate = PillowImage.new("RGB", (right - left + 2 * pad, bottom - top + 2 * pad), colour)
    # ITU-R BT.601 luma: black text on light plates, white on dark ones.
    light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 128
    ink = (0, 0, 0) if light else (255, 255, 255)
    ImageDraw.Draw(plate).text((pad - left, pad - top), text, fill=ink, font=font)
    pixels: Image = np.asarray(plate)
    return pixels


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    """Pillow's own font, so that no font need be installed; one fixed size where Pillow lacks FreeType."""
    try:
        return ImageFont.load_default(size)
    except (ImportError, TypeError):
        return ImageFont.load_default()
