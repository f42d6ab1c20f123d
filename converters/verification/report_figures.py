"""Figures of the report: precision–recall curves, and images with boxes, embedded as ``data:`` URLs."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.charts import new_figure, svg
from edge_ssd.console.text import printable
from edge_ssd.drawing import draw_boxes
from edge_ssd.evaluation.matching import RECALLS
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.preprocess import read_image

__all__ = ["CONVERTED_COLOR", "FLOAT_COLOR", "curve_chart", "image_data_url"]

FLOAT_COLOR, CONVERTED_COLOR = "#1f6fb4", "#d1495b"

# Longer side in pixels: larger images are reduced, smaller ones enlarged to keep the labels readable.
_MIN_SIDE, _MAX_SIDE = 360, 480
_GROUND_TRUTH_COLOR = (255, 255, 255)

Floats = npt.NDArray[np.float64]


def curve_chart(title: str, before: Floats, after: Floats, names: tuple[str, str]) -> str:
    """Return HTML: precision [101] of two models, called ``names``, over recall; ``before`` solid, ``after`` dashed."""
    figure = new_figure(300, 310)
    axes = figure.subplots()
    axes.plot(RECALLS, before, color=FLOAT_COLOR, linewidth=3)
    axes.plot(RECALLS, after, "--", color=CONVERTED_COLOR)
    axes.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    text = html.escape(printable(f"{title}: precision over recall, {names[0]} and {names[1]}"))
    # As an image, not inline: the ids of several inline SVG documents would collide.
    return f'<img alt="{text}" src="data:image/svg+xml;base64,{base64.b64encode(svg(figure).encode()).decode()}">'


def image_data_url(path: Path, ground_truth: FloatArray, detections: Detections) -> str:
    """Return the image at ``path`` with its labeled boxes (white) and ``detections``, as a JPEG ``data:`` URL.

    ``ground_truth`` is float32 [N, 4], xyxy in pixels of the image.
    """
    from PIL import Image

    image = Image.fromarray(read_image(path))
    side = max(image.size)
    scale = min(max(side, _MIN_SIDE), _MAX_SIDE) / side
    if scale != 1:
        image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    no_class = np.zeros(len(ground_truth), np.int64)
    drawn = draw_boxes(np.asarray(image), ground_truth * scale, no_class, color=_GROUND_TRUTH_COLOR, border=True)
    drawn = draw_boxes(drawn, detections.xyxy * scale, detections.class_id, detections.names, detections.confidence)
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
