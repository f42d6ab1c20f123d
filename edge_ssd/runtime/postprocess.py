"""From the network's output heads to boxes: threshold, decode, suppress.

Gives what :func:`edge_ssd.detection.multibox_detection` gives on the joined, dequantised heads, but does not join
them: nearly all anchors are background, so each head is thresholded where it lies, in its own quantised numbers,
and only what passes is dequantised and decoded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.coding import offset_inverse
from edge_ssd.detection import softmax
from edge_ssd.errors import NetworkError
from edge_ssd.network import Network
from edge_ssd.nms import nms

__all__ = ["Decoded", "Head", "Postprocess"]

# The first threshold only has to let everything through that the exact one might keep. Its slack covers the
# rounding of float32 softmax (in probability) and of float32 dequantisation (in quantisation steps).
_SCORE_SLACK = 1e-5
_STEP_SLACK = 0.05


class Head(NamedTuple):
    """One output of the network for one picture and one level.

    ``values`` is [H, W, C] or [1, H, W, C]; C is anchors a cell × (classes + 1), class fastest and background
    first, or anchors a cell × 4. Either float32 with ``scale`` None, or int8, uint8 or int16 that stand for
    ``(values - zero_point) * scale``.
    """

    values: npt.NDArray[Any]
    scale: float | None = None
    zero_point: int = 0


class Decoded(NamedTuple):
    """Detections in the network's own units, best first."""

    boxes: FloatArray
    """float32 [K, 4], xyxy in 0–1 of the input, not clipped."""
    scores: FloatArray
    """float32 [K]."""
    class_ids: npt.NDArray[np.int64]
    """int64 [K], 0-based without background."""


class Postprocess:
    """Decoding for one network; what does not change from picture to picture is worked out once."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._anchors = network.anchors()
        self._sizes = [level.num_anchors for level in network.levels]
        self._starts = np.cumsum([0, *self._sizes[:-1]]).tolist()

    def __call__(
        self,
        class_heads: Sequence[Head],
        box_heads: Sequence[Head],
        *,
        score_threshold: float = 0.5,
        iou_threshold: float = 0.5,
        max_detections: int | None = None,
        classes: Sequence[int] | None = None,
        class_agnostic: bool = False,
    ) -> Decoded:
        """Detections of one picture.

        Args:
            class_heads, box_heads: one :class:`Head` a level, in the network's order.
            score_threshold: keep what is at least this probable.
            iou_threshold: see :func:`edge_ssd.nms.nms`.
            max_detections: the best so many; None for all.
            classes: class ids to keep, None for all. Others neither appear nor suppress.
            class_agnostic: suppress across classes.

        Raises :class:`NetworkError` when the heads are not this network's. A box that decodes to infinity or NaN
        (a float network gone wrong) is left out: in suppression it would swallow good ones.
        """
        self._check(class_heads, box_heads)
        logits: list[FloatArray] = []
        offsets: list[FloatArray] = []
        indices: list[npt.NDArray[np.intp]] = []
        for class_head, box_head, start in zip(class_heads, box_heads, self._starts, strict=True):
            rows = class_head.values.reshape(-1, self._network.num_classes + 1)
            found = _candidates(rows, class_head.scale, score_threshold)
            if found.size:
                logits.append(_class_logits(rows[found], class_head))
                offsets.append(_dequantise(box_head.values.reshape(-1, 4)[found], box_head))
                indices.append(found + start)
        if not indices:
            return _NOTHING
        probabilities = softmax(np.concatenate(logits))[:, 1:]
        class_ids, scores = probabilities.argmax(axis=1), probabilities.max(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            boxes = offset_inverse(
                self._anchors[np.concatenate(indices)], np.concatenate(offsets), self._network.coding
            )
        keep = (scores >= score_threshold) & np.isfinite(boxes).all(axis=1)
        if classes is not None:
            keep &= np.isin(class_ids, np.asarray(classes, np.int64))
        boxes, scores, class_ids = boxes[keep], scores[keep], class_ids[keep].astype(np.int64)
        best = nms(boxes, scores, iou_threshold, None if class_agnostic else class_ids, max_detections)
        return Decoded(boxes[best], scores[best], class_ids[best])

    def _check(self, class_heads: Sequence[Head], box_heads: Sequence[Head]) -> None:
        columns = self._network.num_classes + 1
        if not len(class_heads) == len(box_heads) == len(self._sizes):
            actual = f"{len(class_heads)} and {len(box_heads)}"
            raise NetworkError(f"need {len(self._sizes)} class heads and as many box heads, got {actual}")
        for i, (class_head, box_head, size) in enumerate(zip(class_heads, box_heads, self._sizes, strict=True)):
            if class_head.values.size != size * columns or box_head.values.size != size * 4:
                raise NetworkError(
                    f"level {i} has {size} anchors of {columns} logits and 4 offsets, "
                    f"got heads of shape {class_head.values.shape} and {box_head.values.shape}"
                )


_NOTHING = Decoded(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def _candidates(rows: npt.NDArray[Any], scale: float | None, score_threshold: float) -> npt.NDArray[np.intp]:
    """Indices of rows [n, classes + 1] that may score ``score_threshold``: none that does is missed.

    A class's probability is at most what it would be against background alone, sigmoid(class − background); with
    one class that is the probability itself. So the logit of the threshold bounds the difference from below.
    """
    threshold = min(score_threshold, 1.0) - _SCORE_SLACK
    if threshold <= 0:
        return np.arange(len(rows), dtype=np.intp)
    least = math.log(threshold / (1 - threshold))
    best = rows[:, 1]
    for column in range(2, rows.shape[1]):  # columns: NumPy's maximum along a short last axis is slow
        best = np.maximum(best, rows[:, column])
    if scale is None:
        return np.flatnonzero(best - rows[:, 0] >= np.float32(least - _SCORE_SLACK))
    wide = np.int16 if rows.dtype.itemsize == 1 else np.int32  # the difference of two int8 needs nine bits
    steps = math.ceil(least / scale - _STEP_SLACK)
    limit = np.iinfo(wide)
    difference = np.subtract(best, rows[:, 0], dtype=wide)
    return np.flatnonzero(difference >= wide(min(max(steps, limit.min), limit.max)))


def _class_logits(rows: npt.NDArray[Any], head: Head) -> FloatArray:
    """Logits [n, classes + 1]; of a quantised head, less those of background, which softmax does not notice.

    The whole numbers are subtracted, which is exact, and the difference is scaled: rows that are equally probable
    then score exactly the same, and their order decides between them on every machine and in every runtime.
    """
    values = rows.astype(np.float32)
    return values if head.scale is None else (values - values[:, :1]) * np.float32(head.scale)


def _dequantise(values: npt.NDArray[Any], head: Head) -> FloatArray:
    if head.scale is None:
        return values.astype(np.float32, copy=False)
    real: FloatArray = (values.astype(np.float32) - np.float32(head.zero_point)) * np.float32(head.scale)
    return real
