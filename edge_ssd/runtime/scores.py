"""From raw logits to scores: which anchors may be detections, of which class, how probable.

Logits of a head are [A · (classes + 1)], class fastest and background first. Softmax sees differences only, and those
of whole numbers are exact: they are taken first and scaled afterwards. Anchors that are equally probable then score
exactly the same, and their order decides between them in every runtime.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.detection import softmax

__all__ = [
    "ScoreLookupTable",
    "accumulator_dtype",
    "candidates",
    "float_scores",
    "logit_margin",
    "min_quantized_margin",
    "quantized_softmax",
]

# The first threshold only has to let everything through that the exact one might keep. Its slack covers the
# rounding of float32 softmax (in probability) and of float32 dequantisation (in quantisation steps).
_SCORE_SLACK = 1e-5
_STEP_SLACK = 0.05
_MANY_COLUMNS = 8  # where looking twice begins to pay
_FOUR = np.arange(4)[:, None]
_BYTE = np.int16(8)
_LARGEST = 255  # difference of two bytes


def candidates(
    logits: npt.NDArray[Any], columns: int, steps: npt.NDArray[Any], fewest: np.number[Any]
) -> npt.NDArray[np.intp]:
    """Anchors, ascending, whose margin is at least ``steps`` [A]: all that may score enough, and few others.

    ``fewest`` is the least of the steps.
    """
    if columns < _MANY_COLUMNS or logits.dtype.kind == "f":  # a NaN would hide the three beside it
        return (logit_margin(logits, columns) >= steps).nonzero()[0]
    # Many classes: first four anchors at a time, their highest logit of each class against their lowest of the
    # background. Rows a quarter of the table apart are compared, so that NumPy goes through long runs of memory.
    rows = logits.reshape(-1, columns)
    quarter = len(rows) // 4
    four = rows[: 4 * quarter]
    highest = np.maximum.reduce(four.reshape(4, -1), axis=0).reshape(-1, columns)
    highest[:, 0] = np.minimum.reduce(four[:, 0].reshape(4, -1), axis=0)
    found = (logit_margin(highest, columns) >= fewest).nonzero()[0]
    found = (found + quarter * _FOUR).reshape(-1)
    if 4 * quarter < len(rows):
        found = np.concatenate([found, np.arange(4 * quarter, len(rows))])
    enough: npt.NDArray[np.bool_] = logit_margin(rows.take(found, axis=0), columns) >= steps[found]
    return found[enough]


def logit_margin(logits: npt.NDArray[Any], columns: int) -> npt.NDArray[Any]:
    """The best class's logit less the background's, [A], of logits [A · columns] in their own numbers."""
    if columns == 2 and logits.dtype == np.int8:
        # Both bytes of an anchor as one number of 16 bits, taken apart by shifts: these run over all anchors at
        # once in vector registers, while every second byte would be fetched alone.
        pairs = logits.view("<i2")
        classes, background = pairs >> _BYTE, pairs << _BYTE
        background >>= _BYTE
        classes -= background
        return classes
    # A row a class: NumPy finds a maximum along a short last axis one element at a time.
    rows = logits.reshape(-1, columns).T.copy()
    best = rows[1] if columns == 2 else np.maximum.reduce(rows[1:], axis=0)
    difference: npt.NDArray[Any] = np.subtract(best, rows[0], dtype=accumulator_dtype(logits.dtype))
    return difference


def accumulator_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type that holds any difference of two numbers: of two int8 it needs nine bits."""
    return np.dtype(np.float32) if dtype.kind == "f" else np.dtype(f"i{2 * dtype.itemsize}")


def min_quantized_margin(score_threshold: float, scale: float | None) -> float:
    """How far a class must be above background, in quantisation steps (a float head's are 1), to reach the threshold.

    A class's probability is at most what it would be against background alone, sigmoid(class − background); with
    one class that is the probability itself. So the logit of the threshold bounds the difference from below.
    """
    threshold = min(score_threshold, 1.0) - _SCORE_SLACK
    if threshold <= 0:
        return -math.inf
    least = math.log(threshold / (1 - threshold))
    return least - _SCORE_SLACK if scale is None else math.ceil(least / scale - _STEP_SLACK)


class ScoreLookupTable(NamedTuple):
    """The scores of a network with one class and bytes for logits: 511 differences a head, all worked out beforehand.

    Attributes:
        first: intp [A], where in ``ranks`` the difference 0 of the anchor's head is.
        ranks: a difference's place among all scores, 0 for the highest; small integers, which NumPy sorts fastest.
        scores: float32, the score of each rank.
    """

    first: npt.NDArray[np.intp]
    ranks: npt.NDArray[np.integer]
    scores: FloatArray

    @classmethod
    def of(cls, scales: Sequence[float], sizes: Sequence[int]) -> ScoreLookupTable:
        """For heads of the given quantisation scales and numbers of anchors."""
        steps = np.arange(-_LARGEST, _LARGEST + 1, dtype=np.float32)
        logits = np.multiply.outer(np.array(scales, np.float32), steps)
        scores = softmax(np.stack([np.zeros_like(logits), logits], axis=-1))[..., 1]
        descending, ranks = np.unique(-scores.reshape(-1), return_inverse=True)
        middle = np.arange(len(scales)) * len(steps) + _LARGEST
        small = np.int16 if len(ranks) < 2**15 else np.int32
        return cls(np.repeat(middle, sizes), ranks.astype(small), -descending)

    def best_first(
        self, found: npt.NDArray[np.intp], margins: npt.NDArray[np.int16]
    ) -> tuple[npt.NDArray[np.intp], FloatArray]:
        """The anchors ``found`` with the best first, of equal ones the one that is first there, and their scores."""
        ranks = self.ranks.take(self.first.take(found) + margins.take(found))
        order = ranks.argsort(kind="stable")
        return found.take(order), self.scores.take(ranks.take(order))


def quantized_softmax(rows: npt.NDArray[Any], scale: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Scores [N] and class ids [N] of quantised logits [N, classes + 1] with scales [N], as softmax gives them."""
    columns = rows.T.copy()  # a row a class, see margin()
    # How many steps below the highest, without a sign: the subtraction may wrap around, its bits are right.
    below = (np.maximum.reduce(columns, axis=0) - columns).view(f"u{columns.itemsize}")
    down = -scale
    powers = below.astype(np.float32)
    powers *= down
    np.exp(powers, out=powers)
    # Added up class by class, as softmax() does it. Of a single column NumPy would make a sum of another order.
    total = np.add.reduce(powers, axis=0) if len(rows) > 1 else np.add.accumulate(powers, axis=0)[-1]
    # The best class is found in one pass, each carrying its number in its lowest bits; of equal ones the first wins.
    number = len(columns) - 1
    bits = number.bit_length()
    keys = below[1:].astype(np.int32) << bits
    keys |= np.arange(number, dtype=np.int32)[:, None]
    best = np.minimum.reduce(keys, axis=0)
    scores: FloatArray = np.exp((best >> bits).astype(np.float32) * down) / total
    return scores, (best & ((1 << bits) - 1)).astype(np.int64)


def float_scores(logits: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Scores [N] and class ids [N] of float32 logits [N, classes + 1]."""
    class_ids = logits[:, 1:].argmax(axis=1).astype(np.int64, copy=False)
    return softmax(logits)[np.arange(len(logits)), class_ids + 1], class_ids
