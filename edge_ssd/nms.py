"""Greedy non-maximum suppression: exact, vectorized, bounded.

Boxes are processed by descending score, a chunk at a time. The boxes kept so far suppress their part of a chunk; the
remaining ones go through NMS in blocks of 64: NumPy fills the IoU matrix of 64 boxes in a dozen calls, and each of its
rows is one 64-bit integer. So the search ends as soon as enough boxes are kept, and memory does not grow with their
number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import TINY, FloatArray

__all__ = ["argsort_descending", "nms", "nms_sorted"]

_BLOCK = 64  # bits of an integer
_LONG_CHUNK, _FEW_KEPT = 128, 16  # a chunk longer than this is compared with this many kept boxes at a time
_MAX_CHUNK = 2048  # _FEW_KEPT rows of it stay in a processor's second-level cache
_SPARE = 8  # more boxes than estimated, to avoid a small chunk at the end


def nms(
    boxes_xyxy: npt.ArrayLike,
    scores: npt.ArrayLike,
    iou_threshold: float = 0.5,
    class_ids: npt.ArrayLike | None = None,
    max_detections: int | None = None,
) -> npt.NDArray[np.intp]:
    """Return the boxes that greedy non-maximum suppression keeps.

    Args:
        boxes_xyxy: [N, 4], any units.
        scores: [N].
        iou_threshold: a box is suppressed when its IoU with a better kept box is *strictly greater*.
        class_ids: [N]; boxes of different classes never suppress each other. None treats all as one class
            (class-agnostic, as the book does).
        max_detections: maximum number of kept boxes; None for no limit.

    Returns:
        intp [K], indices into the input, best score first. Equal scores keep the lower index first.
    """
    boxes = np.asarray(boxes_xyxy, np.float32).reshape(-1, 4)
    order = argsort_descending(np.asarray(scores, np.float32).reshape(-1))
    classes = None if class_ids is None else np.asarray(class_ids).reshape(-1)[order]
    kept = nms_sorted(_negated_minmax_planes(boxes[order]), iou_threshold, classes, max_detections)
    best: npt.NDArray[np.intp] = order[kept]
    return best


def argsort_descending(scores: FloatArray) -> npt.NDArray[np.intp]:
    """Return the indices that sort scores [N] in descending order; equal scores keep their order, NaN comes last."""
    return (-scores).argsort(kind="stable")


def nms_sorted(
    planes: FloatArray,
    iou_threshold: float,
    class_ids: npt.NDArray[np.integer] | None = None,
    max_detections: int | None = None,
) -> npt.NDArray[np.intp]:
    """Return the boxes that :func:`nms` keeps, for boxes sorted by descending score.

    Args:
        planes: float32 [4, N], rows −xmin, −ymin, xmax, ymax, with xmin ≤ xmax and ymin ≤ ymax. In this layout the
            corners of an intersection are one minimum, and its width and height one sum.
        iou_threshold, class_ids, max_detections: as for :func:`nms`.

    Returns:
        intp [K], ascending indices into the columns of ``planes``.
    """
    number = planes.shape[1]
    max_kept = number if max_detections is None else min(max_detections, number)
    threshold = np.float32(iou_threshold)
    width, height = planes[:2] + planes[2:]
    areas = np.multiply(width, height, out=width)
    boxes = _Boxes(planes, areas, class_ids, bool(np.minimum.reduce(areas, initial=1) < TINY))
    stop = min(number, _BLOCK)
    kept = np.array(_nms_block(boxes.slice(0, stop), threshold), np.intp)
    while stop < number and len(kept) < max_kept:
        # Estimate how many boxes give the missing ones, at most a block, from the fraction kept so far; plus a
        # quarter, since NMS keeps fewer of the later boxes.
        wanted = min(_BLOCK, max_kept - len(kept)) * stop * 5 // (len(kept) * 4)
        start, stop = stop, min(number, stop + min(_MAX_CHUNK, wanted + _SPARE))
        remaining, i = np.arange(start, stop), 0
        while i < len(kept) and len(remaining):
            # The best boxes suppress the most: a few of them shorten a long chunk for the others.
            step = _FEW_KEPT if len(remaining) > _LONG_CHUNK else _BLOCK
            others = boxes.take(remaining) if i else boxes.slice(start, stop)
            remaining = remaining.take(_unsuppressed(boxes.take(kept[i : i + step]), others, threshold))
            i += step
        while len(remaining) and len(kept) < max_kept:
            block, remaining = remaining[:_BLOCK], remaining[_BLOCK:]
            block_boxes = boxes.take(block)
            best = _nms_block(block_boxes, threshold)
            kept = np.concatenate([kept, block.take(best)])
            if len(remaining):
                remaining = remaining.take(_unsuppressed(block_boxes.take(best), boxes.take(remaining), threshold))
    return kept[:max_kept]


class _Boxes(NamedTuple):
    """Boxes as planes [4, N], see :func:`nms_sorted`; their areas and class ids [N]; whether an area may be 0."""

    planes: FloatArray
    areas: FloatArray
    class_ids: npt.NDArray[np.integer] | None
    may_be_empty: bool

    def take(self, index: npt.NDArray[np.intp] | list[int]) -> _Boxes:
        """Return a copy of the boxes at ``index``."""
        class_ids = None if self.class_ids is None else self.class_ids.take(index)
        # take() returns contiguous rows, indexing [:, index] does not.
        return _Boxes(self.planes.take(index, axis=1), self.areas.take(index), class_ids, self.may_be_empty)

    def slice(self, start: int, stop: int) -> _Boxes:
        """Return a view of the boxes from ``start`` to before ``stop``."""
        class_ids = None if self.class_ids is None else self.class_ids[start:stop]
        return _Boxes(self.planes[:, start:stop], self.areas[start:stop], class_ids, self.may_be_empty)


def _negated_minmax_planes(boxes_xyxy: FloatArray) -> FloatArray:
    """Return boxes [N, 4] as the planes [4, N] of :func:`nms_sorted`; inverted boxes become empty ones."""
    planes = boxes_xyxy.T.copy()
    np.maximum(planes[:2], planes[2:], out=planes[2:])
    np.negative(planes[:2], out=planes[:2])
    return planes


def _exceeds_threshold(
    boxes: _Boxes, others: _Boxes, iou_threshold: np.float32, out: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """Return which pairs have an IoU above the threshold, bool [boxes, others].

    :func:`edge_ssd.boxes.box_iou` fused with the comparison, in place on the planes of ``_negated_minmax_planes``: the
    same operations in the same order, so equal to the last bit, without intermediate arrays [boxes, others, 2].
    """
    corners = np.minimum(boxes.planes[:, :, None], others.planes[:, None, :])  # [4, boxes, others]
    width, height = np.add(corners[:2], corners[2:], out=corners[:2])
    # An array of zeros: NumPy's maximum with a scalar is several times slower. Only the width is clamped: the product
    # of a width ≥ 0 and a negative height is not positive, so it is no intersection either.
    np.maximum(width, np.zeros(width.shape, np.float32), out=width)
    intersection = np.multiply(width, height, out=width)
    union = np.add(boxes.areas[:, None], others.areas, out=corners[2])
    union -= intersection
    if boxes.may_be_empty:  # 0 / tiny: two empty boxes have IoU 0
        np.maximum(union, TINY, out=union)
    hits: npt.NDArray[np.bool_] = np.greater(np.divide(intersection, union, out=union), iou_threshold, out=out)
    if boxes.class_ids is not None and others.class_ids is not None:
        hits &= boxes.class_ids[:, None] == others.class_ids
    return hits


def _unsuppressed(kept: _Boxes, others: _Boxes, iou_threshold: np.float32) -> npt.NDArray[np.intp]:
    """Return the indices of the ``others`` that no box of ``kept`` suppresses."""
    suppressed = np.logical_or.reduce(_exceeds_threshold(kept, others, iou_threshold), axis=0)
    remaining: npt.NDArray[np.intp] = np.logical_not(suppressed, out=suppressed).nonzero()[0]
    return remaining


def _nms_block(block: _Boxes, iou_threshold: np.float32) -> list[int]:
    """Return the indices of the boxes that greedy suppression keeps among up to 64."""
    number = len(block.areas)
    hits = np.zeros((number, _BLOCK), np.bool_)
    _exceeds_threshold(block, block, iou_threshold, hits[:, :number])
    rows = np.packbits(hits, bitorder="little").view("<u8").tolist()  # one integer per row
    kept, suppressed = [], 0
    for index, row in enumerate(rows):
        if not suppressed >> index & 1:
            kept.append(index)
            suppressed |= row
    return kept
