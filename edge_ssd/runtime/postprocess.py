"""Decoding of the network's output heads: score threshold, boxes, non-maximum suppression.

Equal to :func:`edge_ssd.reference_detection.multibox_detection` on the joined, dequantized heads, to the last bit of
the scores. Nearly all anchors are background, so the threshold is converted to each head's quantization steps once: it
is then one integer comparison, and only what passes is dequantized, decoded and suppressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, xyxy_to_cxcywh
from edge_ssd.errors import NetworkError
from edge_ssd.network import Network
from edge_ssd.nms import argsort_descending, nms_sorted
from edge_ssd.runtime.detections import Detections, unchecked_detections
from edge_ssd.runtime.scores import (
    ScoreLookupTable,
    accumulator_dtype,
    anchors_above_threshold,
    byte_logit_margin,
    float_scores,
    min_quantized_margin,
    quantized_softmax,
)

if TYPE_CHECKING:
    from edge_ssd.runtime.preprocess import ResizeTransform

__all__ = ["Head", "Postprocess"]

_MAX_EXPONENT = 60.0  # exp of it, times an anchor, is far below the limit of float32
_ZERO = np.float32(0)  # made once: a NumPy scalar costs as much as a small operation
_UNREACHABLE = 2.0  # a threshold above every probability


class Head(NamedTuple):
    """One output of the network for one image and one level.

    Attributes:
        values: [H, W, C] or [1, H, W, C]. C is anchors per cell × (classes + 1), class fastest and background first,
            or anchors per cell × 4. float32 with ``scale`` None, or int8, uint8 or int16.
        scale, zero_point: quantized values stand for ``(values - zero_point) * scale``.
    """

    values: npt.NDArray[Any]
    scale: float | None = None
    zero_point: int = 0


_BoxesScoresClasses = tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]


class _OutputLayout(NamedTuple):
    """Everything that depends on the heads' quantization and the settings only, cached from image to image.

    Attributes:
        key: the quantization and settings that it was computed for.
        min_margins: [A], minimum logit margin that may reach the threshold, in quantization steps of the anchor's head.
        thresholds: float32 [classes].
        threshold: the threshold of all classes, None where they differ.
        lookup: scores of a network with one class and 8-bit class heads, else None.
        class_table: float32 [2, A], zero point and scale of the anchor's class head.
        box_table: float32 [8, A], the anchor's center, size and half size, and zero point and scale of its box head.
        finite: all heads are quantized, and no value of theirs decodes to infinity.
    """

    key: tuple[Any, ...]
    min_margins: npt.NDArray[Any]
    lowest_margin: np.number[Any]
    thresholds: FloatArray
    threshold: float | None
    lookup: ScoreLookupTable | None
    class_table: FloatArray
    box_table: FloatArray
    finite: bool


class Postprocess:
    """Decoder of the output heads of one network into detections; thread-safe."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._columns = network.num_classes + 1
        self._sizes = [level.num_anchors for level in network.levels]
        anchors = xyxy_to_cxcywh(network.anchors()).T
        self._anchors = np.concatenate([anchors, anchors[2:] / 2])  # [6, A]
        coding = network.coding
        self._scales = np.array([[coding.xy_scale]] * 2 + [[coding.wh_scale]] * 2, np.float32)  # [4, 1]
        self._layout: _OutputLayout | None = None

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
            class_heads, box_heads: one :class:`Head` per level, in the network's order; others raise NetworkError.
            transform: where the image lies in the input, as ``preprocess`` returns it: boxes are mapped to its pixels
                and clipped. None leaves them in 0–1 of the input, not clipped; ``image_size`` is then (1, 1).
            score_threshold: minimum score, one number or one per class.
            iou_threshold, max_detections: see :func:`edge_ssd.nms.nms`.
            classes: class ids to detect; None for all. Others neither appear nor suppress.
            class_agnostic: suppress across classes.
            keep_outside: keep boxes that are empty after clipping: average precision counts them as false positives.

        A box that decodes to infinity or NaN (a float network gone wrong) is dropped: it would suppress valid ones.
        """
        self._check(class_heads, box_heads)
        # Joining a few thousand bytes is several times cheaper than a Python loop over the heads.
        logits = np.concatenate([head.values.ravel() for head in class_heads])
        layout = self._cached_layout(class_heads, box_heads, logits.dtype, score_threshold, classes)
        image_size = (1, 1) if transform is None else transform.image_size
        arguments = logits, box_heads, layout, iou_threshold, max_detections, class_agnostic
        if layout.finite:
            boxes, scores, class_ids = self._detect(*arguments)
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                boxes, scores, class_ids = self._detect(*arguments)
        if not len(scores):
            return Detections.empty(image_size)
        if transform is not None:
            boxes = transform.to_pixels(boxes)
            if not keep_outside:
                inside = boxes[:, 2:] > boxes[:, :2]
                if not inside.all():
                    kept = inside.all(axis=1)
                    boxes, scores, class_ids = boxes[kept], scores[kept], class_ids[kept]
        labels = self._network.labels
        names = [labels[i] for i in class_ids.tolist()]
        return unchecked_detections(boxes, scores, class_ids, names, image_size)

    def _detect(
        self,
        logits: npt.NDArray[Any],
        box_heads: Sequence[Head],
        layout: _OutputLayout,
        iou_threshold: float,
        max_detections: int | None,
        class_agnostic: bool,
    ) -> _BoxesScoresClasses:
        """Return boxes [K, 4] in 0–1 of the input, scores [K] and class ids [K]."""
        anchors, scores, class_ids = self._score(logits, layout)
        if not len(anchors):
            return np.zeros((0, 4), np.float32), scores, class_ids
        boxes = self._decode(np.concatenate([head.values.ravel() for head in box_heads]), anchors, layout)
        if not layout.finite:
            finite = np.isfinite(boxes).all(axis=0)
            boxes, scores, class_ids = boxes[:, finite], scores[finite], class_ids[finite]
        per_class = self._columns > 2 and not class_agnostic
        kept = nms_sorted(boxes, iou_threshold, class_ids if per_class else None, max_detections)
        planes = boxes.take(kept, axis=1)
        np.subtract(_ZERO, planes[:2], out=planes[:2])  # negative() would turn 0 into −0
        return planes.T.copy(), scores[kept], class_ids[kept]

    def _score(
        self, logits: npt.NDArray[Any], layout: _OutputLayout
    ) -> tuple[npt.NDArray[np.intp], FloatArray, npt.NDArray[np.int64]]:
        """Return the anchors that reach the threshold, best first, with their scores and class ids."""
        if layout.lookup is not None:
            margins = byte_logit_margin(logits)
            anchors = (margins >= layout.min_margins).nonzero()[0]
        else:
            anchors, logits = anchors_above_threshold(logits, self._columns, layout.min_margins, layout.lowest_margin)
        if not len(anchors):
            return anchors, np.zeros(0, np.float32), np.zeros(0, np.int64)
        if layout.lookup is not None:
            anchors, scores = layout.lookup.sort(anchors, margins)
            class_ids = np.zeros(len(anchors), np.int64)
        else:
            zero, scale = layout.class_table.take(anchors, axis=1)
            if logits.dtype.kind == "f":
                scores, class_ids = float_scores((logits - zero) * scale)
            else:
                scores, class_ids = quantized_softmax(logits, scale)
            order = argsort_descending(scores)
            anchors, scores, class_ids = anchors.take(order), scores.take(order), class_ids.take(order)
        # Scores descend: with one threshold, all pass if the last does.
        if layout.threshold is None or not scores.item(-1) >= layout.threshold:
            passed = scores >= layout.thresholds[class_ids]  # take() refuses int64 on 32-bit systems
            anchors, scores, class_ids = anchors[passed], scores[passed], class_ids[passed]
        return anchors, scores, class_ids

    def _decode(self, codes: npt.NDArray[Any], anchors: npt.NDArray[np.intp], layout: _OutputLayout) -> FloatArray:
        """Return the boxes of ``anchors`` [K] as the planes [4, K] of :func:`edge_ssd.nms.nms_sorted`.

        Same arithmetic as :func:`edge_ssd.coding.offset_inverse`; −xmin is half − center.
        """
        table = layout.box_table.take(anchors, axis=1)
        center, sizes, zero, scale = table[:2], table[2:6], table[6], table[7]
        offsets = codes.reshape(-1, 4).take(anchors, axis=0).T.astype(np.float32, order="C")
        offsets -= zero
        offsets *= scale
        offsets /= self._scales
        half = offsets[2:]
        np.exp(half, out=half)
        offsets *= sizes
        center += offsets[:2]
        np.subtract(half, center, out=offsets[:2])
        half += center
        return offsets

    def _cached_layout(
        self,
        class_heads: Sequence[Head],
        box_heads: Sequence[Head],
        dtype: np.dtype[Any],
        score_threshold: float | Sequence[float],
        classes: Sequence[int] | None,
    ) -> _OutputLayout:
        """Return the layout of the last call if quantization and settings are unchanged, else a new one."""
        thresholds = score_threshold if isinstance(score_threshold, (int, float)) else tuple(score_threshold)
        class_ids = None if classes is None else tuple(classes)
        quantization = [head[1:] for head in class_heads], [head[1:] for head in box_heads]
        key = (thresholds, class_ids, dtype, *quantization)
        layout = self._layout
        if layout is None or layout.key != key:
            layout = self._layout = self._make_layout(key, class_heads, box_heads, dtype, thresholds, class_ids)
        return layout

    def _make_layout(
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
            excluded = np.ones(len(thresholds), np.bool_)
            excluded[[i for i in classes if 0 <= i < len(excluded)]] = False
            thresholds[excluded] = _UNREACHABLE
        uniform = bool((thresholds == thresholds[0]).all())
        margin_dtype = accumulator_dtype(dtype)
        min_margins = np.array([min_quantized_margin(float(thresholds.min()), head.scale) for head in class_heads])
        if margin_dtype.kind == "i":
            min_margins = np.clip(min_margins, np.iinfo(margin_dtype).min, np.iinfo(margin_dtype).max)
        min_margins = min_margins.astype(margin_dtype)
        lookup = None
        if self._columns == 2 and dtype.kind != "f" and dtype.itemsize == 1:
            lookup = ScoreLookupTable.from_scales(
                [1.0 if head.scale is None else head.scale for head in class_heads], self._sizes
            )
        class_table, box_table = self._head_quantization(class_heads), self._head_quantization(box_heads)
        return _OutputLayout(
            key,
            np.repeat(min_margins, self._sizes),
            min_margins.min(),
            thresholds,
            float(thresholds[0]) if uniform else None,
            lookup,
            class_table,
            np.concatenate([self._anchors, box_table]),
            all(head.scale is not None for head in (*class_heads, *box_heads))
            and all(_max_magnitude(head) / network.coding.wh_scale < _MAX_EXPONENT for head in box_heads),
        )

    def _head_quantization(self, heads: Sequence[Head]) -> FloatArray:
        """Return float32 [2, A], zero point and scale of each anchor's head; 0 and 1, the identity, for float heads."""
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


def _max_magnitude(head: Head) -> float:
    """Return the largest magnitude that a quantized head can represent."""
    limits = np.iinfo(head.values.dtype)
    steps = max(abs(limits.min - head.zero_point), abs(limits.max - head.zero_point))
    return float(steps) * float(head.scale or 0)
