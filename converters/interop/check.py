"""Check that the model of a profile detects the same objects as the bundle it was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converters.bundle.writer import BundleContent
from converters.interop.graph import POSTPROCESS_SCORE
from edge_ssd.boxes import box_iou, clip_boxes
from edge_ssd.console.counts import count
from edge_ssd.errors import BundleError
from edge_ssd.runtime.interpreter import open_interpreter

__all__ = ["check_profile"]

# Both models have the same network, so only the rounding of the decoding differs.
_MIN_IOU, _MAX_SCORE_DIFFERENCE = 0.99, 0.001

# Below this score an anchor may have two classes: the operator returns both, the runtime only the better one.
_MIN_UNIQUE_CLASS_SCORE = 0.5


def check_profile(model: bytes, content: BundleContent, out: Path) -> None:
    """Check that ``model``, a profile's flatbuffer, detects what the bundle ``content`` does in its self-test's image.

    Raises:
        BundleError: a detection above the score threshold (with several classes, also above 0.5) has no counterpart of
            its class with IoU ≥ 0.99 and a score within 0.001. The message says that the file ``out`` is not written.
    """
    selftest, expected = content.selftest, content.selftest.detections
    outputs = open_interpreter(model).invoke(selftest.image)
    boxes, classes, scores = (outputs[name].values[0] for name in ("output_3", "output_2", "output_1"))
    threshold = max(selftest.score_threshold, POSTPROCESS_SCORE)
    if content.network.num_classes > 1:
        threshold = max(threshold, _MIN_UNIQUE_CLASS_SCORE)
    height, width = selftest.image.shape[:2]
    pixels = boxes[:, [1, 0, 3, 2]] * np.array([width, height, width, height], np.float32)
    pixels = clip_boxes(pixels, height, width)
    is_valid = np.arange(len(scores)) < outputs["output_0"].values[0]
    is_valid &= (pixels[:, 2:] > pixels[:, :2]).all(axis=1)  # the runtime drops boxes outside the image
    same = (box_iou(expected.xyxy, pixels) >= _MIN_IOU) & is_valid
    same &= np.abs(expected.confidence[:, None] - scores) <= _MAX_SCORE_DIFFERENCE
    same &= expected.class_id[:, None] == classes
    lost = ~same.any(axis=1) & (expected.confidence > threshold + _MAX_SCORE_DIFFERENCE)
    extra = is_valid & ~same.any(axis=0) & (scores > threshold + _MAX_SCORE_DIFFERENCE)
    if lost.any() or extra.any():
        raise BundleError(
            f"{out}: not written, since its model does not detect what the network does: "
            f"{count(int(lost.sum()), 'box')} lost, {int(extra.sum())} too many, in the self-test's image"
        )
