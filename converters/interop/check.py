"""The proof that a profile's model detects what the network does, before it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from converters.bundle.writer import BundleContent
from converters.interop.graph import POSTPROCESS_SCORE
from edge_ssd.boxes import box_iou, clip_boxes
from edge_ssd.errors import BundleError
from edge_ssd.runtime.interpreter import open_interpreter

__all__ = ["check_profile"]

# The same numbers go through another end of the graph, so only rounding may differ.
_IOU, _SCORE = 0.99, 0.001

# Below this an anchor may score with two classes; the operator gives both, the runtime the better one.
_ONE_CLASS = 0.5


def check_profile(model: bytes, content: BundleContent, out: Path) -> None:
    """Raise :class:`BundleError` unless ``model`` finds in the self-test's picture what the bundle found there.

    Args:
        content: of the plain bundle, with its self-test.
        out: the file to be written, for the message.
    """
    selftest, expected = content.selftest, content.selftest.detections
    outputs = open_interpreter(model).invoke(selftest.image)
    boxes, classes, scores = (outputs[name].values[0] for name in ("output_3", "output_2", "output_1"))
    threshold = max(selftest.score_threshold, POSTPROCESS_SCORE)
    if content.network.num_classes > 1:
        threshold = max(threshold, _ONE_CLASS)
    height, width = selftest.image.shape[:2]
    pixels = boxes[:, [1, 0, 3, 2]] * np.array([width, height, width, height], np.float32)
    pixels = clip_boxes(pixels, height, width)
    found = np.arange(len(scores)) < outputs["output_0"].values[0]
    found &= (pixels[:, 2:] > pixels[:, :2]).all(axis=1)  # the runtime leaves out what lies beside the picture
    same = (box_iou(expected.xyxy, pixels) >= _IOU) & found
    same &= np.abs(expected.confidence[:, None] - scores) <= _SCORE
    same &= expected.class_id[:, None] == classes
    lost = ~same.any(axis=1) & (expected.confidence > threshold + _SCORE)
    extra = found & ~same.any(axis=0) & (scores > threshold + _SCORE)
    if lost.any() or extra.any():
        raise BundleError(
            f"{out}: not written, since its model does not detect what the network does: "
            f"{int(lost.sum())} boxes lost, {int(extra.sum())} too many, in the self-test's picture"
        )
