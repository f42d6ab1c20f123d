"""Boxes with labels drawn into images, without OpenCV.

The camera loop may draw every frame: the image is copied once and painted with NumPy slices. Pillow renders only the
label text, whose images are cached. Pillow is imported when the first label is drawn.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edge_ssd.checks import require_type
from edge_ssd.fonts import font_for
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.image_input import ImageLike, as_rgb
from edge_ssd.runtime.resize import ImageArray

__all__ = ["Color", "Image", "class_color", "draw_boxes", "draw_detections", "draw_label"]

Color = tuple[int, int, int]
Image = npt.NDArray[np.uint8]

_GOLDEN_RATIO = 0.618034  # hue step from one class to the next: neighbors differ most, and hues repeat late
_FIRST_HUE = 0.33
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def draw_detections(image: ImageLike, detections: Detections) -> ImageArray:
    """Return a copy of an image as uint8 RGB [H, W, 3] with the box, label and score of each detection.

    Args:
        image: any that :meth:`edge_ssd.Detector.detect` takes; an array must be RGB.
        detections: in pixels of ``image``.

    Raises:
        ImageError: not a valid image.
        SettingError: ``detections`` are something else.
    """
    require_type("detections", detections, Detections)
    pixels = as_rgb(image)
    return draw_boxes(pixels, detections.xyxy, detections.class_id, detections.names, detections.confidence)


def draw_boxes(
    image: Image,
    boxes_xyxy: npt.ArrayLike,
    class_ids: npt.NDArray[np.integer],
    names: Sequence[str] = (),
    scores: npt.ArrayLike = (),
    color: Color | None = None,
    border: bool = False,
) -> Image:
    """Return a copy of an image with boxes drawn into it, the first box on top.

    Line width and text size are proportional to the image. If it is too narrow for a label, only the score is drawn,
    or no text.

    Args:
        image: uint8 RGB [H, W, 3].
        boxes_xyxy: [N, 4] in pixels of ``image``.
        class_ids: int [N]; they choose the colors.
        names: label of each box; empty for boxes without text.
        scores: [N] in 0–1, one for each name.
        color: of every box; None for :func:`class_color`.
        border: whether to draw a dark line around each box, which keeps it visible on a background of its own color.
    """
    canvas = image.copy()
    height, width = image.shape[:2]
    line_width = max(1, round(min(height, width) / 240))
    text_size = _text_size(height, width)
    corners = np.rint(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)).astype(int)
    corners = np.clip(corners, 0, (width - 1, height - 1, width - 1, height - 1))
    percents = [f"{score:.0%}" for score in np.asarray(scores).tolist()]
    texts = [(f"{name} {percent}", percent) for name, percent in zip(names, percents, strict=True)]
    no_text: list[tuple[str, ...]] = [()] * len(corners)
    boxes = list(zip(corners.tolist(), class_ids.tolist(), texts or no_text, strict=True))
    for (left, top, right, bottom), class_id, text_choices in reversed(boxes):
        box_color = color or class_color(class_id)
        if border:
            _draw_outline(canvas, (max(left - 1, 0), max(top - 1, 0), right + 1, bottom + 1), 1, _BLACK)
        _draw_outline(canvas, (left, top, right, bottom), line_width, box_color)
        for text in text_choices:
            label = _render_label(text, box_color, text_size)
            if label.shape[0] <= height // 2 and label.shape[1] <= width:
                _paste_label(canvas, label, left, top)
                break
    return canvas


def draw_label(canvas: Image, text: str, color: Color, left: int, top: int) -> None:
    """Draw a text on ``color`` into an image (uint8 RGB [H, W, 3]), above a point, or below it at the upper edge.

    A text that is larger than the image is left out.
    """
    height, width = canvas.shape[:2]
    label = _render_label(text, color, _text_size(height, width))
    if label.shape[0] <= height // 2 and label.shape[1] <= width:
        _paste_label(canvas, label, left, top)


def _text_size(height: int, width: int) -> int:
    return max(11, round(min(height, width) / 32))


def _draw_outline(canvas: Image, box: tuple[int, int, int, int], line_width: int, color: Color) -> None:
    """Paint the outline of a box inwards; its corners are the outermost pixels."""
    left, top, right, bottom = box
    inside = canvas[top : bottom + 1, left : right + 1]
    inside[:line_width] = inside[-line_width:] = color
    inside[:, :line_width] = inside[:, -line_width:] = color


def _paste_label(canvas: Image, label: Image, left: int, top: int) -> None:
    """Paste a label above the upper left corner of a box, or inside the box if there is no space above."""
    height, width = label.shape[:2]
    x = max(0, min(left, canvas.shape[1] - width))
    y = top - height if top >= height else min(top, canvas.shape[0] - height)
    canvas[y : y + height, x : x + width] = label


@lru_cache(maxsize=1024)
def class_color(class_id: int) -> Color:
    """Return the RGB color of a class: bright, and far in hue from the classes next to it."""
    red, green, blue = colorsys.hsv_to_rgb((_FIRST_HUE + class_id * _GOLDEN_RATIO) % 1, 0.85, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache(maxsize=128)  # 1 MB for 640×480, 16 MB for 3840×2160
def _render_label(text: str, color: Color, size: int) -> Image:
    """Render text on a background of its class's color, uint8 RGB."""
    from PIL import Image as PillowImage
    from PIL import ImageDraw

    padding = 2
    text, font = font_for(text, size)
    left, top, right, bottom = (round(value) for value in font.getbbox(text))
    label = PillowImage.new("RGB", (right - left + 2 * padding, bottom - top + 2 * padding), color)
    luma = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]  # ITU-R BT.601
    text_color = _BLACK if luma > 128 else _WHITE
    ImageDraw.Draw(label).text((padding - left, padding - top), text, fill=text_color, font=font)
    pixels: Image = np.asarray(label)
    return pixels
