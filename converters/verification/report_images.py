"""Pictures with boxes for the report, as ``data:`` addresses."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ssd.boxes import FloatArray
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.preprocess import read_image

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["picture_address"]

_MAX_SIDE = 480  # pixels of a picture in the report
_MIN_SIDE = 360  # smaller ones are enlarged: a label must be readable
_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")
_TRUTH = "#ffffff"


def picture_address(
    path: Path, truth: FloatArray, found: Detections, labels: tuple[str, ...], score_threshold: float
) -> str:
    """The picture at ``path`` with the labelled boxes ``truth`` (thin, white) and the detections shown."""
    from PIL import Image

    image = Image.fromarray(read_image(path))
    factor = min(1.0, _MAX_SIDE / max(image.size)) if max(image.size) > _MIN_SIDE else _MIN_SIDE / max(image.size)
    if factor != 1:
        image = image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))
    _draw(image, truth, found, factor, labels, score_threshold)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _draw(
    image: Image,
    truth: FloatArray,
    found: Detections,
    factor: float,
    labels: tuple[str, ...],
    score_threshold: float,
) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    for box in truth:
        draw.rectangle(tuple((box * factor).tolist()), outline=_TRUTH, width=1)
    shown = found[found.confidence >= score_threshold]
    for box, score, class_id in zip(shown.xyxy, shown.confidence.tolist(), shown.class_id.tolist(), strict=True):
        colour = _COLOURS[class_id % len(_COLOURS)]
        x0, y0, x1, y1 = (box * factor).tolist()
        draw.rectangle((x0, y0, x1, y1), outline=colour, width=2)
        # Pillow's built-in font knows only Latin letters; another label is drawn by its number.
        label = labels[class_id]
        text = f"{label if label.isascii() else class_id} {score:.2f}"
        corner = (x0, max(0, y0 - 12))
        draw.rectangle(draw.textbbox(corner, text), fill=colour)
        draw.text(corner, text, fill="white")
