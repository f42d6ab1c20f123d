"""Images with labeled boxes and detections for the report, as ``data:`` URLs."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np

from edge_ssd.boxes import FloatArray
from edge_ssd.drawing import draw_boxes
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.preprocess import read_image

__all__ = ["image_data_url"]

# Longer side in pixels: larger images are reduced, smaller ones enlarged to keep the labels readable.
_MIN_SIDE, _MAX_SIDE = 360, 480
_GROUND_TRUTH_COLOR = (255, 255, 255)


def image_data_url(path: Path, ground_truth: FloatArray, detections: Detections) -> str:
    """Return an image with its labeled boxes (white) and detections as a JPEG ``data:`` URL.

    Args:
        path: the image file.
        ground_truth: float32 [N, 4], xyxy in pixels of the image.
        detections: in pixels of the image.
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
