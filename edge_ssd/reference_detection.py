"""Decoding of the network's raw output: the float reference.

:mod:`edge_ssd.runtime.postprocess` is the fast equivalent for quantized heads; tests compare the two.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.checks import as_flag, as_fraction, box_rows, float_array, require_finite, shortened
from edge_ssd.coding import BoxCoding, offset_inverse
from edge_ssd.errors import SettingError
from edge_ssd.nms import nms

__all__ = ["multibox_detection", "softmax"]


def softmax(logits: npt.ArrayLike) -> FloatArray:
    """Return the float32 softmax over the last axis, safe for large logits."""
    values = np.asarray(logits, np.float32)
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    # Summed class by class: the order of sum(), and so its last bit, depends on the memory layout.
    probabilities: FloatArray = powers / np.add.accumulate(powers, axis=-1)[..., -1:]
    return probabilities


def multibox_detection(
    class_logits: npt.ArrayLike,
    offsets: npt.ArrayLike,
    anchors_xyxy: npt.ArrayLike,
    *,
    score_threshold: float = 0.5,
    iou_threshold: float = 0.5,
    max_detections: int | None = None,
    class_agnostic: bool = False,
    coding: BoxCoding = BoxCoding(),
) -> FloatArray:
    """Decode, threshold and suppress the output for one image.

    Args:
        class_logits: [A, classes + 1] of A anchors, before softmax; column 0 is background.
        offsets: [A, 4], boxes encoded by :func:`edge_ssd.coding.offset_boxes` with ``coding``.
        anchors_xyxy: [A, 4].
        score_threshold: minimum probability of a detection.
        iou_threshold, max_detections: see :func:`edge_ssd.nms.nms`.
        class_agnostic: suppress across classes, as the book's function of this name does.

    Returns:
        float32 [K, 6], best first; a row is (class id, score, xmin, ymin, xmax, ymax). Class ids are 0-based
        without background, and boxes are in the units of the anchors, not clipped. Each anchor gives at most
        one detection, of its most probable class. Unlike the book's function, suppressed rows are dropped rather
        than marked with class −1.

    Raises:
        SettingError: arrays of other shapes or different lengths, numbers that are not finite, an invalid threshold.
    """
    logits = float_array("class_logits", class_logits)
    if logits.ndim != 2 or logits.shape[1] < 2:
        shape = list(logits.shape)
        raise SettingError(f"class_logits must have shape [A, classes + 1], got {shape}: {shortened(logits)}")
    require_finite("class_logits", logits)
    anchors, codes = box_rows("anchors_xyxy", anchors_xyxy), box_rows("offsets", offsets)
    if not len(logits) == len(codes) == len(anchors):
        lengths = f"{len(logits)} logits, {len(codes)} offsets, {len(anchors)} anchors"
        raise SettingError(f"class_logits, offsets and anchors_xyxy must have one row per anchor, got {lengths}")
    score_threshold = as_fraction("score_threshold", score_threshold)
    class_agnostic = as_flag("class_agnostic", class_agnostic)
    class_ids = logits[:, 1:].argmax(axis=1)
    scores = softmax(logits)[np.arange(len(logits)), class_ids + 1]
    candidates = np.flatnonzero(scores >= score_threshold)
    boxes = offset_inverse(anchors[candidates], codes[candidates], coding)
    class_ids, scores = class_ids[candidates], scores[candidates]
    keep = nms(boxes, scores, iou_threshold, None if class_agnostic else class_ids, max_detections)
    return np.concatenate([class_ids[keep, None], scores[keep, None], boxes[keep]], axis=1).astype(np.float32)
