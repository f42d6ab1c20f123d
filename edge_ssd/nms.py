"""Greedy non-maximum suppression: exact, vectorised, bounded.

Boxes are taken best first, a chunk at a time. A chunk first loses what the boxes kept so far suppress; what is left
is settled in blocks of 64, since the overlaps of 64 boxes are a matrix that NumPy fills in a dozen calls and each of
its rows fits one 64-bit integer. So work stops as soon as enough are kept, and memory does not grow with the number
of boxes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import TINY, FloatArray

__all__ = ["argsort_descending", "nms", "nms_sorted"]

_BLOCK = 64  # bits of an integer
_LONG, _FEW = 128, 16  # against more than so many boxes, so many kept ones go at a time
_MAX_CHUNK = 2048  # with so few rows against it, what NumPy works on stays in a processor's second-level cache
_SPARE = 8  # some more, so that no small chunk has to follow


def nms(
    boxes_xyxy: npt.ArrayLike,
    scores: npt.ArrayLike,
    iou_threshold: float = 0.5,
    class_ids: npt.ArrayLike | None = None,
    max_detections: int | None = None,
) -> npt.NDArray[np.intp]:
    """Keep the best box of every overlapping group.

    Args:
        boxes_xyxy: [N, 4], any units.
        scores: [N].
        iou_threshold: a box goes when its IoU with a better kept box is *strictly greater* than this.
        class_ids: [N]; boxes of different classes never suppress each other. None treats all as one class
            (class-agnostic, as the book does).
        max_detections: stop after this many; None keeps all.

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
    """Indices that put scores [N] in descending order; equal ones stay in theirs, NaN comes last."""
    return (-scores).argsort(kind="stable")


def nms_sorted(
    folded: FloatArray,
    iou_threshold: float,
    class_ids: npt.NDArray[np.integer] | None = None,
    max_detections: int | None = None,
) -> npt.NDArray[np.intp]:
    """:func:`nms` of boxes that are in order, best first, none inside out, and folded: rows −xmin, −ymin, xmax, ymax.

    Folded, float32 [4, N], the corners of an intersection are one minimum, and its width and height one sum.
    """
    number = folded.shape[1]
    most = number if max_detections is None else min(max_detections, number)
    threshold = np.float32(iou_threshold)
    width, height = folded[:2] + folded[2:]
    areas = np.multiply(width, height, out=width)
    boxes = _Boxes(folded, areas, class_ids, bool(np.minimum.reduce(areas, initial=1) < TINY))
    stop = min(number, _BLOCK)
    kept = np.array(_nms_block(boxes.run(0, stop), threshold), np.intp)
    while stop < number and len(kept) < most:
        # As many more as should leave what is still missing, at most a block. Of later boxes a smaller share is kept
        # than of those before: a quarter more.
        wanted = min(_BLOCK, most - len(kept)) * stop * 5 // (len(kept) * 4)
        start, stop = stop, min(number, stop + min(_MAX_CHUNK, wanted + _SPARE))
        waiting, i = np.arange(start, stop), 0
        while i < len(kept) and len(waiting):
            # The best boxes suppress most: a few of them make a long chunk short before the others come to it.
            step = _FEW if len(waiting) > _LONG else _BLOCK
            others = boxes.part(waiting) if i else boxes.run(start, stop)
            waiting = waiting.take(_unsuppressed(boxes.part(kept[i : i + step]), others, threshold))
            i += step
        while len(waiting) and len(kept) < most:
            block, waiting = waiting[:_BLOCK], waiting[_BLOCK:]
            some = boxes.part(block)
            best = _nms_block(some, threshold)
            kept = np.concatenate([kept, block.take(best)])
            if len(waiting):
                waiting = waiting.take(_unsuppressed(some.part(best), boxes.part(waiting), threshold))
    return kept[:most]


class _Boxes(NamedTuple):
    """Some boxes: ``folded`` [4, N], ``areas`` [N], ``class_ids`` [N] or None; ``empty``: one may have no area."""

    folded: FloatArray
    areas: FloatArray
    class_ids: npt.NDArray[np.integer] | None
    empty: bool

    def part(self, index: npt.NDArray[np.intp] | list[int]) -> _Boxes:
        class_ids = None if self.class_ids is None else self.class_ids.take(index)
        # take, since indexing [:, index] leaves the numbers of a row far apart
        return _Boxes(self.folded.take(index, axis=1), self.areas.take(index), class_ids, self.empty)

    def run(self, start: int, stop: int) -> _Boxes:
        """Those from ``start`` to before ``stop``, without copying them."""
        class_ids = None if self.class_ids is None else self.class_ids[start:stop]
        return _Boxes(self.folded[:, start:stop], self.areas[start:stop], class_ids, self.empty)


def _negated_minmax_planes(boxes_xyxy: FloatArray) -> FloatArray:
    """Boxes [N, 4] folded, [4, N]; one that is inside out becomes an empty one, which is what it counts as."""
    folded = boxes_xyxy.T.copy()
    np.maximum(folded[:2], folded[2:], out=folded[2:])
    np.negative(folded[:2], out=folded[:2])
    return folded


def _overlap(
    some: _Boxes, others: _Boxes, iou_threshold: np.float32, out: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.bool_]:
    """Return which pairs have an IoU above the threshold, bool [some, others].

    :func:`edge_ssd.boxes.box_iou` fused with the comparison, in place on the planes of ``_negated_minmax_planes``: the
    same operations in the same order, so equal to the last bit, without intermediate arrays [some, others, 2].
    """
    corners = np.minimum(some.folded[:, :, None], others.folded[:, None, :])  # [4, some, others]
    width, height = np.add(corners[:2], corners[2:], out=corners[:2])
    # An array of zeros: NumPy's maximum with a single number is several times slower. With no width below 0, a
    # negative height gives no positive product: that it stays is no harm.
    np.maximum(width, np.zeros(width.shape, np.float32), out=width)
    intersection = np.multiply(width, height, out=width)
    union = np.add(some.areas[:, None], others.areas, out=corners[2])
    union -= intersection
    if some.empty:  # 0 / tiny is the 0 that two empty boxes are to have
        np.maximum(union, TINY, out=union)
    hits: npt.NDArray[np.bool_] = np.greater(np.divide(intersection, union, out=union), iou_threshold, out=out)
    if some.class_ids is not None and others.class_ids is not None:
        hits &= some.class_ids[:, None] == others.class_ids
    return hits


def _unsuppressed(kept: _Boxes, others: _Boxes, iou_threshold: np.float32) -> npt.NDArray[np.intp]:
    """Positions among the ``others`` of those that none of ``kept`` suppresses."""
    gone = np.logical_or.reduce(_overlap(kept, others, iou_threshold), axis=0)
    left: npt.NDArray[np.intp] = np.logical_not(gone, out=gone).nonzero()[0]
    return left


def _nms_block(block: _Boxes, iou_threshold: np.float32) -> list[int]:
    """Greedy suppression among up to 64 boxes: positions of the kept ones."""
    number = len(block.areas)
    hits = np.zeros((number, _BLOCK), np.bool_)
    _overlap(block, block, iou_threshold, hits[:, :number])
    rows = np.packbits(hits, bitorder="little").view("<u8").tolist()  # one integer a row
    kept, gone = [], 0
    for best, row in enumerate(rows):
        if not gone >> best & 1:
            kept.append(best)
            gone |= row
    return kept
