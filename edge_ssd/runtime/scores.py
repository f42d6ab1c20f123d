"""Scores from raw logits: which anchors may be detections, of which class, with what probability.

Logits of a head are [A · (classes + 1)], class fastest and background first. Softmax depends on differences only, and
differences of integers are exact: they are computed first and scaled afterwards. Anchors of equal probability so get
exactly equal scores, and their order decides between them in every runtime.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.reference_detection import softmax

__all__ = [
    "ScoreLookupTable",
    "accumulator_dtype",
    "anchors_above_threshold",
    "byte_logit_margin",
    "float_scores",
    "logit_margin",
    "min_quantized_margin",
    "quantized_softmax",
]

# The first threshold must pass everything that the exact one might keep. Its slack covers the rounding of float32
# softmax (in probability) and of float32 dequantization (in quantization steps).
_SCORE_SLACK = 1e-5
_STEP_SLACK = 0.05
_MIN_COLUMNS_TO_GROUP = 8  # with fewer classes the second pass costs more than the first saves
_GROUP = np.arange(4)[:, None]
_BYTE_BITS = np.int16(8)
_SIGN_BIT = np.uint8(128)
_MAX_BYTE_DIFFERENCE = 255


def anchors_above_threshold(
    logits: npt.NDArray[Any], columns: int, min_margins: npt.NDArray[Any], lowest_margin: np.number[Any]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[Any]]:
    """Return the anchors [K] whose :func:`logit_margin` is at least ``min_margins``, ascending, and their logits.

    Args:
        logits: [A · columns], with ``columns`` = classes + 1.
        min_margins: [A], see :func:`min_quantized_margin`; ``lowest_margin`` is their minimum.

    Returns:
        intp [K] and [columns, K]: one row per class, since NumPy reduces along a short last axis one element at a time.
    """
    rows = logits.reshape(-1, columns)
    if columns < _MIN_COLUMNS_TO_GROUP or logits.dtype.kind == "f":  # a NaN would hide the others of its group
        anchors = (logit_margin(rows.T.copy()) >= min_margins).nonzero()[0]
        return anchors, rows.take(anchors, axis=0).T.copy()
    # Many classes: first test groups of four anchors, by the highest logit of each class and the lowest of the
    # background. The members are a quarter of the table apart, so that NumPy reduces long contiguous runs.
    quarter = len(rows) // 4
    grouped = rows[: 4 * quarter]
    highest = np.maximum.reduce(grouped.reshape(4, -1), axis=0).reshape(-1, columns)
    highest[:, 0] = np.minimum.reduce(grouped[:, 0].reshape(4, -1), axis=0)
    groups = (logit_margin(highest.T.copy()) >= lowest_margin).nonzero()[0]
    anchors = (groups + quarter * _GROUP).reshape(-1)
    if 4 * quarter < len(rows):
        anchors = np.concatenate([anchors, np.arange(4 * quarter, len(rows))])
    candidates = rows.take(anchors, axis=0).T.copy()
    passed = logit_margin(candidates) >= min_margins.take(anchors)
    if passed.all():  # the members of a group are often neighbors
        return anchors, candidates
    index = passed.nonzero()[0]
    return anchors.take(index), candidates.take(index, axis=1)


def logit_margin(logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the highest class logit minus the background's, [A], of logits [classes + 1, A]."""
    best = logits[1] if len(logits) == 2 else np.maximum.reduce(logits[1:], axis=0)
    difference: npt.NDArray[Any] = np.subtract(best, logits[0], dtype=accumulator_dtype(logits.dtype))
    return difference


def byte_logit_margin(logits: npt.NDArray[np.int8 | np.uint8]) -> npt.NDArray[np.int16]:
    """Return the :func:`logit_margin` of 8-bit logits of one class, int16 [A], of logits [A · 2]."""
    if logits.dtype == np.uint8:
        logits = (logits ^ _SIGN_BIT).view(np.int8)  # all values minus 128: the differences stay
    # Read both bytes of an anchor as one int16 and separate them by shifts, which are vectorized over all anchors;
    # strided access to every second byte is not.
    pairs = logits.view("<i2")
    classes, background = pairs >> _BYTE_BITS, pairs << _BYTE_BITS
    background >>= _BYTE_BITS
    classes -= background
    return classes


def accumulator_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that holds any difference of two values of ``dtype``: int16 for int8, float32 for floats."""
    return np.dtype(np.float32) if dtype.kind == "f" else np.dtype(f"i{2 * dtype.itemsize}")


def min_quantized_margin(score_threshold: float, scale: float | None) -> float:
    """Return the minimum :func:`logit_margin` of an anchor that may reach a score threshold.

    It is a whole number of quantization steps of ``scale``, or in logits for a float head (None). A class's
    probability is at most sigmoid(class − background), so the logit of the threshold is a lower bound of the margin.
    """
    threshold = min(score_threshold, 1.0) - _SCORE_SLACK
    if threshold <= 0:
        return -math.inf
    min_logit = math.log(threshold / (1 - threshold))
    return min_logit - _SCORE_SLACK if scale is None else math.ceil(min_logit / scale - _STEP_SLACK)


class ScoreLookupTable(NamedTuple):
    """Precomputed scores of a network with one class and 8-bit heads, for the 511 values of :func:`logit_margin`.

    Attributes:
        offsets: intp [A], index into ``ranks`` of the margin 0 of the anchor's head.
        ranks: position of each margin's score in ``scores``; small integers, which NumPy sorts fastest.
        scores: float32, descending, without duplicates.
    """

    offsets: npt.NDArray[np.intp]
    ranks: npt.NDArray[np.integer]
    scores: FloatArray

    @classmethod
    def from_scales(cls, scales: Sequence[float], sizes: Sequence[int]) -> ScoreLookupTable:
        """Build the table for heads with quantization ``scales``, whose numbers of anchors are ``sizes``."""
        steps = np.arange(-_MAX_BYTE_DIFFERENCE, _MAX_BYTE_DIFFERENCE + 1, dtype=np.float32)
        logits = np.multiply.outer(np.array(scales, np.float32), steps)
        scores = softmax(np.stack([np.zeros_like(logits), logits], axis=-1))[..., 1]
        descending, ranks = np.unique(-scores.reshape(-1), return_inverse=True)
        zeros = np.arange(len(scales)) * len(steps) + _MAX_BYTE_DIFFERENCE
        rank_dtype = np.int16 if len(ranks) < 2**15 else np.int32
        return cls(np.repeat(zeros, sizes), ranks.astype(rank_dtype), -descending)

    def sort(
        self, anchors: npt.NDArray[np.intp], margins: npt.NDArray[np.int16]
    ) -> tuple[npt.NDArray[np.intp], FloatArray]:
        """Return anchor indices [K] by descending score, and the scores, from all margins [A]; ties stay in order."""
        ranks = self.ranks.take(self.offsets.take(anchors) + margins.take(anchors))
        order = ranks.argsort(kind="stable")
        return anchors.take(order), self.scores.take(ranks.take(order))


def quantized_softmax(logits: npt.NDArray[Any], scales: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return softmax score and id [K] of the best foreground class of logits [classes + 1, K] with scales [K]."""
    # Steps below the highest logit, unsigned: the subtraction may wrap around, but its bits are right.
    below = (np.maximum.reduce(logits, axis=0) - logits).view(f"u{logits.itemsize}")
    negative_scales = -scales
    powers = below.astype(np.float32)
    powers *= negative_scales
    np.exp(powers, out=powers)
    # Summed class by class, as softmax() does. NumPy sums a single column in another order.
    total = np.add.reduce(powers, axis=0) if len(scales) > 1 else np.add.accumulate(powers, axis=0)[-1]
    # One pass finds the best class: each key holds the class id in its lowest bits. Equal logits: the lowest id.
    num_classes = len(logits) - 1
    bits = num_classes.bit_length()
    key_dtype = np.min_scalar_type((np.iinfo(below.dtype).max << bits) | num_classes)
    keys = below[1:].astype(key_dtype) << key_dtype.type(bits)
    keys |= np.arange(num_classes, dtype=key_dtype)[:, None]
    best = np.minimum.reduce(keys, axis=0)
    scores: FloatArray = np.exp((best >> key_dtype.type(bits)).astype(np.float32) * negative_scales) / total
    return scores, (best & key_dtype.type((1 << bits) - 1)).astype(np.int64)


def float_scores(logits: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return softmax score and id [K] of the best foreground class of float32 logits [classes + 1, K]."""
    rows = logits.T.copy()  # softmax() adds in another order along other axes
    class_ids = rows[:, 1:].argmax(axis=1).astype(np.int64, copy=False)
    return softmax(rows)[np.arange(len(rows)), class_ids + 1], class_ids
