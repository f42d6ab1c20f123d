"""Boxes and labels drawn into a picture, with Pillow alone, so that a board without OpenCV can do it."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from device_apps.frames import Image
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
    canvas = PillowImage.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    height, width = image.shape[:2]
    line = max(1, round(min(height, width) / 240))
    font = _font(max(11, round(min(height, width) / 32)))
    found = list(zip(detections, detections.class_id.tolist(), strict=True))
    for (label, score, box), class_id in reversed(found):
        colour = colour_of(class_id)
        left, top, right, bottom = (round(value) for value in box)
        right, bottom = max(left, min(right, width - 1)), max(top, min(bottom, height - 1))
        pen.rectangle((left, top, right, bottom), outline=colour, width=line)
        for text in (f"{label} {score:.0%}", f"{score:.0%}"):
            if _write(pen, text, (left, top), (height, width), colour, font):
                break
    return np.array(canvas)


@lru_cache(maxsize=1024)
def colour_of(class_id: int) -> _Colour:
    """The RGB colour of a class: bright, and far from that of its neighbours."""
    red, green, blue = colorsys.hsv_to_rgb((_FIRST_HUE + class_id * _GOLDEN) % 1, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _write(
    pen: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], size: tuple[int, int], colour: _Colour, font: Any
) -> bool:
    """Write text on a plate at a box's upper left corner; False, and nothing done, where it does not fit."""
    height, width = size
    left, top, right, bottom = (round(value) for value in pen.textbbox((0, 0), text, font=font))
    pad = 2
    plate_width, plate_height = right - left + 2 * pad, bottom - top + 2 * pad
    if plate_width > width or plate_height > height // 2:
        return False
    x = max(0, min(corner[0], width - plate_width))
    y = corner[1] - plate_height if corner[1] >= plate_height else min(corner[1], height - plate_height)
    pen.rectangle((x, y, x + plate_width - 1, y + plate_height - 1), fill=colour)
    # ITU-R BT.601 luma: black text on light plates, white on dark ones.
    light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 128
    pen.text((x + pad - left, y + pad - top), text, fill=(0, 0, 0) if light else (255, 255, 255), font=font)
    return True


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    """Pillow's own font, so that no font need be installed; one fixed size where Pillow lacks FreeType."""
    try:
        return ImageFont.load_default(size)
    except (ImportError, TypeError):
        return ImageFont.load_default()
