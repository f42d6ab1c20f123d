"""From the network's output heads to boxes: threshold, decode, suppress.

Gives what :func:`edge_ssd.detection.multibox_detection` gives on the joined, dequantised heads, to the last bit of
the scores, but nearly all anchors are background: the threshold is carried over into each head's own quantisation
steps, where it is one comparison of whole numbers, and only what passes is dequantised, decoded and suppressed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, xyxy_to_cxcywh
from edge_ssd.errors import NetworkError
from edge_ssd.network import Network
from edge_ssd.nms import argsort_descending, nms_sorted
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.scores import (
    ScoreLookupTable,
    accumulator_dtype,
    candidates,
    float_scores,
    logit_margin,
    min_quantized_margin,
    quantized_softmax,
)

if TYPE_CHECKING:
    from edge_ssd.runtime.preprocess import ResizeTransform

__all__ = ["Head", "Postprocess"]

_LARGEST_EXPONENT = 60.0  # exp of it, times an anchor, is far from where float32 ends
_NEVER = 2.0  # a threshold that no probability reaches


class Head(NamedTuple):
    """One output of the network for one picture and one level.

    ``values`` is [H, W, C] or [1, H, W, C]; C is anchors a cell × (classes + 1), class fastest and background
    first, or anchors a cell × 4. Either float32 with ``scale`` None, or int8, uint8 or int16 that stand for
    ``(values - zero_point) * scale``.
    """

    values: npt.NDArray[Any]
    scale: float | None = None
    zero_point: int = 0


_BoxesScoresClasses = tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]


class _OutputLayout(NamedTuple):
    """What follows from the heads' quantisation and the settings, and so is the same for picture after picture.

    ``steps`` [A]: the least difference of logits, in steps of the anchor's head, that may reach the threshold;
    ``fewest``: the least of them.
    ``thresholds``: float32 [] or, where they differ, [classes].
    ``table``: the scores of a network with one class and bytes for logits; of others None.
    ``class_table`` [2, A]: zero point and scale of the anchor's class head.
    ``box_table`` [6, A]: the anchor's centre x, centre y, width and height, and its box head's zero point and scale.
    ``finite``: all heads are quantised, and no number that they can hold decodes to infinity.
    """

    key: tuple[Any, ...]
    steps: npt.NDArray[Any]
    fewest: np.number[Any]
    thresholds: FloatArray
    table: ScoreLookupTable | None
    class_table: FloatArray
    box_table: FloatArray
    finite: bool


class Postprocess:
    """Decoding for one network; what does not change from picture to picture is worked out once.

    May be called from several threads at once.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._columns = network.num_classes + 1
        self._sizes = [level.num_anchors for level in network.levels]
        self._anchors = np.ascontiguousarray(xyxy_to_cxcywh(network.anchors()).T)  # [4, A]
        coding = network.coding
        self._scales = np.array([[coding.xy_scale]] * 2 + [[coding.wh_scale]] * 2, np.float32)  # [4, 1]
        self._plan: _OutputLayout | None = None

    def __call__(
        self,
        class_heads: Sequence[Head],
        box_heads: Sequence[Head],
        transform: ResizeTransform | None = None,
        *,
        score_threshold: float | Sequence[float] = 0.5,
        iou_threshold: float = 0.5,
        max_detections: int | None = None,
        classes: Sequence[int] | None = None,
        class_agnostic: bool = False,
        keep_outside: bool = False,
    ) -> Detections:
        """Return the detections of one image, best first.

        Args:
            class_heads, box_heads: one :class:`Head` a level, in the network's order.
            transform: where the image lies in the input, as ``preprocess`` returns it: boxes are mapped to its pixels
                and clipped. None leaves them in 0–1 of the input, not clipped; ``image_size`` is then (1, 1).
            score_threshold: keep what is at least this probable; one number, or one for each class.
            iou_threshold: see :func:`edge_ssd.nms.nms`.
            max_detections: the best so many; None for all.
            classes: class ids to keep, None for all. Others neither appear nor suppress.
            class_agnostic: suppress across classes.
            keep_outside: keep boxes of which clipping leaves nothing. Average precision counts them as errors.

        Raises:
            NetworkError: the heads are not this network's.

        A box that decodes to infinity or NaN (a float network gone wrong) is dropped: it would suppress valid ones.
        """
        self._check(class_heads, box_heads)
        # Joined as they are, a few thousand bytes: several times cheaper than going from head to head in Python.
        logits = np.concatenate([head.values for head in class_heads], axis=None)
        plan = self._planned(class_heads, box_heads, logits.dtype, score_threshold, classes)
        image_size = (1, 1) if transform is None else transform.image_size
        with contextlib.nullcontext() if plan.finite else np.errstate(over="ignore", invalid="ignore"):
            boxes, scores, class_ids = self._detect(
                logits, box_heads, plan, iou_threshold, max_detections, class_agnostic
            )
        if not len(scores):
            return Detections.empty(image_size)
        if transform is not None:
            boxes = transform.to_pixels(boxes)
            if not keep_outside:
                inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
                boxes, scores, class_ids = boxes[inside], scores[inside], class_ids[inside]
        labels = self._network.labels
        return Detections(boxes, scores, class_ids, [labels[i] for i in class_ids.tolist()], image_size)

    def _detect(
        self,
        logits: npt.NDArray[Any],
        box_heads: Sequence[Head],
        plan: _OutputLayout,
        iou_threshold: float,
        max_detections: int | None,
        class_agnostic: bool,
    ) -> _BoxesScoresClasses:
        """Boxes [K, 4] in 0–1 of the input, scores [K] and class ids [K]."""
        found, scores, class_ids = self._scored(logits, plan)
        if not len(found):
            return np.zeros((0, 4), np.float32), scores, class_ids
        boxes = self._decode(np.concatenate([head.values for head in box_heads], axis=None), found, plan)
        if not plan.finite:
            right = np.isfinite(boxes).all(axis=0)
            boxes, scores, class_ids = boxes[:, right], scores[right], class_ids[right]
        several = self._columns > 2 and not class_agnostic
        best = nms_sorted(boxes, iou_threshold, class_ids if several else None, max_detections)
        chosen = boxes.take(best, axis=1)
        np.subtract(np.float32(0), chosen[:2], out=chosen[:2])  # not negative(), which makes −0 of 0
        return chosen.T.copy(), scores[best], class_ids[best]

    def _scored(
        self, logits: npt.NDArray[Any], plan: _OutputLayout
    ) -> tuple[npt.NDArray[np.intp], FloatArray, npt.NDArray[np.int64]]:
        """Anchors that reach the threshold, best first, with their scores and class ids."""
        if plan.table is not None:
            margins = logit_margin(logits, self._columns)
            found = (margins >= plan.steps).nonzero()[0]
        else:
            found = candidates(logits, self._columns, plan.steps, plan.fewest)
        if not len(found):
            return found, np.zeros(0, np.float32), np.zeros(0, np.int64)
        if plan.table is not None:
            found, scores = plan.table.best_first(found, margins)
            class_ids = np.zeros(len(found), np.int64)
        else:
            rows = logits.reshape(-1, self._columns).take(found, axis=0)
            zero, scale = plan.class_table.take(found, axis=1)
            if logits.dtype.kind == "f":
                scores, class_ids = float_scores((rows - zero[:, None]) * scale[:, None])
            else:
                scores, class_ids = quantized_softmax(rows, scale)
            order = argsort_descending(scores)
            found, scores, class_ids = found.take(order), scores.take(order), class_ids.take(order)
        least = plan.thresholds if plan.thresholds.ndim == 0 else plan.thresholds[class_ids]
        # With one threshold the last is the first to fall below it.
        if least.ndim or not scores[-1] >= least:
            enough = scores >= least
            found, scores, class_ids = found[enough], scores[enough], class_ids[enough]
        return found, scores, class_ids

    def _decode(self, codes: npt.NDArray[Any], found: npt.NDArray[np.intp], plan: _OutputLayout) -> FloatArray:
        """Boxes of the anchors ``found``, as :func:`edge_ssd.coding.offset_inverse` does it, but folded, [4, K].

        See :func:`edge_ssd.nms.nms_sorted`; −xmin comes out as half − centre.
        """
        table = plan.box_table.take(found, axis=1)
        centre, size, zero, scale = table[:2], table[2:4], table[4], table[5]
        offsets = codes.reshape(-1, 4).take(found, axis=0).T.astype(np.float32, order="C")
        offsets -= zero
        offsets *= scale
        offsets /= self._scales
        np.exp(offsets[2:], out=offsets[2:])
        parts = offsets.reshape(2, 2, -1)  # x and y, width and height
        parts *= size
        centre += parts[0]
        half = np.divide(parts[1], np.float32(2), out=parts[1])
        np.subtract(half, centre, out=parts[0])
        half += centre
        return offsets

    def _planned(
        self,
        class_heads: Sequence[Head],
        box_heads: Sequence[Head],
        dtype: np.dtype[Any],
        score_threshold: float | Sequence[float],
        classes: Sequence[int] | None,
    ) -> _OutputLayout:
        """The plan, made anew only when something it follows from is not as it was at the last call."""
        several = score_threshold if isinstance(score_threshold, (int, float)) else tuple(score_threshold)
        chosen = None if classes is None else tuple(classes)
        quantisation = [head[1:] for head in class_heads], [head[1:] for head in box_heads]
        key = (several, chosen, dtype, *quantisation)
        plan = self._plan
        if plan is None or plan.key != key:
            plan = self._plan = self._make_plan(key, class_heads, box_heads, dtype, several, chosen)
        return plan

    def _make_plan(
        self,
        key: tuple[Any, ...],
        class_heads: Sequence[Head],
        box_heads: Sequence[Head],
        dtype: np.dtype[Any],
        score_threshold: float | tuple[float, ...],
        classes: tuple[int, ...] | None,
    ) -> _OutputLayout:
        network = self._network
        thresholds = np.full(network.num_classes, score_threshold, np.float32)
        if classes is not None:
            others = np.ones(len(thresholds), np.bool_)
            others[[i for i in classes if 0 <= i < len(others)]] = False
            thresholds[others] = _NEVER
        uniform = bool((thresholds == thresholds[0]).all())
        margins = accumulator_dtype(dtype)
        steps = np.array([min_quantized_margin(float(thresholds.min()), head.scale) for head in class_heads])
        if margins.kind == "i":
            steps = np.clip(steps, np.iinfo(margins).min, np.iinfo(margins).max)
        table = None
        if self._columns == 2 and dtype.kind != "f" and dtype.itemsize == 1:
            table = ScoreLookupTable.of(
                [1.0 if head.scale is None else head.scale for head in class_heads], self._sizes
            )
        class_table, box_table = self._quantisation(class_heads), self._quantisation(box_heads)
        return _OutputLayout(
            key,
            np.repeat(steps.astype(margins), self._sizes),
            steps.astype(margins).min(),
            np.array(thresholds[0]) if uniform else thresholds,
            table,
            class_table,
            np.concatenate([self._anchors, box_table]),
            all(head.scale is not None for head in (*class_heads, *box_heads))
            and all(_largest(head) / network.coding.wh_scale < _LARGEST_EXPONENT for head in box_heads),
        )

    def _quantisation(self, heads: Sequence[Head]) -> FloatArray:
        """float32 [2, A]: zero point and scale of each anchor's head; 0 and 1 change nothing in a float one."""
        pairs = [(0, 1) if head.scale is None else (head.zero_point, head.scale) for head in heads]
        return np.repeat(np.array(pairs, np.float32).T, self._sizes, axis=1)

    def _check(self, class_heads: Sequence[Head], box_heads: Sequence[Head]) -> None:
        columns = self._columns
        if not len(class_heads) == len(box_heads) == len(self._sizes):
            actual = f"{len(class_heads)} and {len(box_heads)}"
            raise NetworkError(f"need {len(self._sizes)} class heads and as many box heads, got {actual}")
        for i, size in enumerate(self._sizes):
            if class_heads[i].values.size != size * columns or box_heads[i].values.size != size * 4:
                raise NetworkError(
                    f"level {i} has {size} anchors of {columns} logits and 4 offsets, "
                    f"got heads of shape {class_heads[i].values.shape} and {box_heads[i].values.shape}"
                )


def _largest(head: Head) -> float:
    """The largest magnitude that a quantised head can stand for."""
    limits = np.iinfo(head.values.dtype)
    steps = max(abs(limits.min - head.zero_point), abs(limits.max - head.zero_point))
    return float(steps) * float(head.scale or 0)
