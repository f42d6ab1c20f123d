"""Greedy non-maximum suppression: exact, vectorized, bounded.

Boxes are processed by descending score, a chunk at a time. NumPy compares the best boxes of a chunk with all of it, in a
dozen calls; each row of the result is one 64-bit integer, which decides which of the best boxes are kept, and their rows
suppress the rest of the chunk. A later chunk is first compared with the boxes kept so far. So the search ends as soon as
enough boxes are kept, and memory does not grow with their number.
"""

from __future__ import annotations

from itertools import compress

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import TINY, FloatArray

__all__ = ["argsort_descending", "nms", "nms_sorted"]

_BLOCK = 64  # bits of an integer
_MAX_PAIRS = 16384  # pairs of boxes compared at a time; their corners stay in a processor's second-level cache
_FIRST_CHUNK, _MAX_CHUNK = 320, 4096
_FEW = 32
_MANY = 512
_PAIRS = np.array(np.tril_indices(_FEW, -1))  # the pairs of the first boxes come first
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
    classes = None
    if class_ids is not None:
        classes = np.unique(np.asarray(class_ids).reshape(-1), return_inverse=True)[1].take(order)
    planes = _negated_minmax_planes(boxes.T.take(order, axis=1))
    kept = nms_sorted(planes, iou_threshold, classes, max_detections)
    best: npt.NDArray[np.intp] = order[kept]
    return best


def argsort_descending(scores: FloatArray) -> npt.NDArray[np.intp]:
    """Return the indices that sort scores [N] in descending order; equal scores keep their order, NaN comes last."""
    if len(scores) < _MANY or not np.minimum.reduce(scores) > 0:
        return (-scores).argsort(kind="stable")
    # NumPy sorts integers several times faster. The bits of positive floats are in the order of their values; those of
    # each score, negated, are the upper half of its key, and its index is the lower half.
    keys = scores.view(np.int32).astype(np.int64)
    np.multiply(keys, -(2**32), out=keys)
    keys += np.arange(len(keys))
    keys.sort()
    keys &= 2**32 - 1
    return keys.astype(np.intp, copy=False)


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
        iou_threshold, max_detections: as for :func:`nms`.
        class_ids: as for :func:`nms`, 0 to 2**24: they are compared as float32.

    Returns:
        intp [K], ascending indices into the columns of ``planes``.
    """
    number = planes.shape[1]
    max_kept = number if max_detections is None else min(max_detections, number)
    boxes, threshold = _box_table(planes, class_ids), np.float32(iou_threshold)
    if number <= _FEW or max_kept == 0:
        return np.array(_nms_few(boxes, threshold)[:max_kept], np.intp)
    kept: list[int] = []
    start, stop, kept_before = 0, min(number, _FIRST_CHUNK), 0
    index, chunk = np.arange(stop), boxes[:, :stop]
    while True:
        while len(index) > _FEW:
            rows = min(_BLOCK, max(_MAX_PAIRS // 2 // len(index), 1))
            hits = _exceeds_threshold(chunk[:, :rows, None], chunk[:, None], threshold)  # [rows, boxes of the chunk]
            best = _nms_block(hits)
            kept += index.take(best).tolist()
            missing = max_kept - len(kept)
            if rows >= len(index) or missing <= 0:
                break
            remaining = _columns_without_hit(hits.take(best, axis=0), rows)
            needed = _boxes_needed(missing, len(best), rows)
            if needed < len(remaining):  # the others are left to the next chunk
                stop = int(index[remaining[needed]])
                remaining = remaining[:needed]
            index, chunk = index.take(remaining), chunk.take(remaining, axis=1)
        else:
            kept += index.take(_nms_few(chunk, threshold)).tolist()
        if stop == number or len(kept) >= max_kept:
            return np.array(kept[:max_kept], np.intp)
        # A chunk that gives one block: many boxes of a chunk are compared with all of it.
        needed = _boxes_needed(min(_BLOCK, max_kept - len(kept)), len(kept) - kept_before, stop - start)
        start, stop, kept_before = stop, min(number, stop + min(_MAX_CHUNK, needed)), len(kept)
        index = _unsuppressed(kept, boxes, start, stop, threshold)
        chunk = boxes.take(index, axis=1)


# Rows of a table of boxes: four planes, see nms_sorted(), the area and, if classes differ, the class id.
_AREA, _CLASS_ID = 4, 5


def _box_table(planes: FloatArray, class_ids: npt.NDArray[np.integer] | None) -> FloatArray:
    """Return everything that is compared as one table, float32 [5 or 6, N], which one call can select from."""
    table = np.empty((5 if class_ids is None else 6, planes.shape[1]), np.float32)
    table[:4] = planes
    width, height = planes[:2] + planes[2:]
    # 0 / tiny: two empty boxes have IoU 0
    np.maximum(np.multiply(width, height, out=width), TINY, out=table[_AREA])
    if class_ids is not None:
        table[_CLASS_ID] = class_ids
    return table


def _negated_minmax_planes(corners: FloatArray) -> FloatArray:
    """Convert corners [4, N], in place, to the planes of :func:`nms_sorted`; inverted boxes become empty ones."""
    np.maximum(corners[:2], corners[2:], out=corners[2:])
    np.negative(corners[:2], out=corners[:2])
    return corners


def _boxes_needed(missing: int, kept: int, number: int) -> int:
    """Estimate how many boxes give the ``missing`` ones, if ``kept`` of the ``number`` before were kept."""
    # A quarter more, since NMS keeps fewer of the later boxes.
    return missing * number * 5 // (max(kept, 1) * 4) + _SPARE


def _exceeds_threshold(boxes: FloatArray, others: FloatArray, iou_threshold: np.float32) -> npt.NDArray[np.bool_]:
    """Return which boxes of two tables [5 or 6, ...], which broadcast, have an IoU above the threshold, bool [...].

    :func:`edge_ssd.boxes.box_iou` fused with the comparison, in place on the planes of ``_negated_minmax_planes``: the
    same operations in the same order, so equal to the last bit, without intermediate arrays [..., 2].
    """
    corners = np.minimum(boxes[:4], others[:4])
    width, height = np.add(corners[:2], corners[2:], out=corners[:2])
    # An array of zeros: NumPy's maximum with a scalar is several times slower. Only the width is clamped: the product
    # of a width ≥ 0 and a negative height is not positive, so it is no intersection either.
    np.maximum(width, np.zeros(width.shape, np.float32), out=width)
    intersection = np.multiply(width, height, out=width)
    union = np.add(boxes[_AREA], others[_AREA], out=height)
    union -= intersection
    hits: npt.NDArray[np.bool_] = np.divide(intersection, union, out=union) > iou_threshold
    if len(boxes) > _CLASS_ID:
        hits &= boxes[_CLASS_ID] == others[_CLASS_ID]
    return hits


def _columns_without_hit(hits: npt.NDArray[np.bool_], start: int = 0) -> npt.NDArray[np.intp]:
    """Return the columns from ``start`` that have no True, ascending."""
    suppressed = np.logical_or.reduce(hits, axis=0)
    suppressed[:start] = True
    remaining: npt.NDArray[np.intp] = np.logical_not(suppressed, out=suppressed).nonzero()[0]
    return remaining


def _unsuppressed(
    kept: list[int], boxes: FloatArray, start: int, stop: int, iou_threshold: np.float32
) -> npt.NDArray[np.intp]:
    """Return the indices, from ``start`` to before ``stop``, of the boxes that no ``kept`` one suppresses."""
    index, others, i = np.arange(start, stop), boxes[:, start:stop], 0
    while i < len(kept) and len(index):
        # The best boxes suppress the most: a few of them shorten a long chunk for the others.
        step = min(_BLOCK, max(_MAX_PAIRS // len(index), 1))
        suppressing = boxes.take(kept[i : i + step], axis=1)
        hits = _exceeds_threshold(suppressing[:, :, None], others[:, None], iou_threshold)  # [step, others]
        remaining = _columns_without_hit(hits)
        index, others = index.take(remaining), others.take(remaining, axis=1)
        i += step
    return index


def _nms_few(boxes: FloatArray, iou_threshold: np.float32) -> list[int]:
    """Return which of at most ``_FEW`` boxes greedy suppression keeps, from each pair once."""
    number = boxes.shape[1]
    later, earlier = _PAIRS[:, : number * (number - 1) // 2]
    hits = _exceeds_threshold(boxes.take(earlier, axis=1), boxes.take(later, axis=1), iou_threshold).nonzero()[0]
    kept = [True] * number
    for i, j in zip(earlier.take(hits).tolist(), later.take(hits).tolist(), strict=True):
        if kept[i]:
            kept[j] = False
    return list(compress(range(number), kept))


def _nms_block(hits: npt.NDArray[np.bool_]) -> list[int]:
    """Return which of the up to 64 best boxes greedy suppression keeps; ``hits`` are their pairs with all boxes."""
    bits = hits[:, :_BLOCK]
    if bits.shape[1] < _BLOCK:
        bits = np.zeros((len(hits), _BLOCK), np.bool_)
        bits[:, : hits.shape[1]] = hits
    rows = np.packbits(bits, bitorder="little").view("<u8").tolist()  # one integer per row
    kept, suppressed = [], 0
    for index, row in enumerate(rows):
        if not suppressed >> index & 1:
            kept.append(index)
            suppressed |= row
    return kept
