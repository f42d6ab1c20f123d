"""Greedy non-maximum suppression: exact, vectorized, bounded.

Boxes are processed by descending score, a chunk at a time. NumPy compares the best boxes of a chunk with all of it, in a
dozen calls; each row of the result is one 64-bit integer, which decides which of the best boxes are kept, and their rows
suppress the rest of the chunk. A later chunk is first compared with the boxes kept so far. So the search ends as soon as
enough boxes are kept, and memory does not grow with their number.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import TINY, FloatArray

__all__ = ["argsort_descending", "nms", "nms_sorted"]

_MAX_PAIRS = 16384  # boxes compared at a time; their float32 corners stay in a processor's second-level cache
_FIRST_CHUNK, _MAX_CHUNK = 320, 4096
_BLOCK = 128  # boxes that are all compared with each other, at once
_FEW = 32
_MANY = 512
_PAIRS = np.array(np.tril_indices(_FEW, -1))  # the pairs of the first boxes come first
_SPARE = 4  # more boxes than estimated, to avoid a small chunk at the end


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
        return _nms_few(boxes, threshold)[:max_kept]
    if class_ids is None or number < _MANY:
        return _nms_in_chunks(boxes, threshold, max_kept)
    best, index = _best_of_classes(boxes, threshold)
    others = index.take(_nms_in_chunks(boxes.take(index, axis=1), threshold, max_kept))
    kept = np.concatenate([best, others])
    kept.sort()
    return kept[:max_kept]


def _best_of_classes(
    boxes: FloatArray, iou_threshold: np.float32
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Keep the best box of each class, and then again of the boxes that these do not suppress, while that is fast.

    Returns:
        The indices of the boxes kept, in any order, and of the boxes that none of them suppresses, ascending.
    """
    class_ids = boxes[_CLASS_ID].astype(np.min_scalar_type(int(boxes[_CLASS_ID].max())))  # NumPy sorts bytes fastest
    index = class_ids.argsort(kind="stable")  # by class, then by score
    kept, number = [], 2 * len(index)
    # While a round suppresses a quarter of the boxes: it compares each with one other, not with all that are kept.
    while _FIRST_CHUNK < len(index) <= number * 3 // 4:
        number = len(index)
        sorted_boxes = boxes.take(index, axis=1)
        classes = sorted_boxes[_CLASS_ID]
        edges = np.concatenate([[True], classes[1:] != classes[:-1], [True]]).nonzero()[0]
        first, counts = edges[:-1], edges[1:] - edges[:-1]
        best = sorted_boxes.take(first, axis=1).repeat(counts, axis=1)
        hits = _exceeds_threshold(best, sorted_boxes, iou_threshold)
        hits[first] = True
        kept.append(index.take(first))
        index = index.take(np.logical_not(hits, out=hits).nonzero()[0])
    return np.concatenate(kept), np.sort(index)


def _nms_in_chunks(boxes: FloatArray, threshold: np.float32, max_kept: int) -> npt.NDArray[np.intp]:
    """Return the first ``max_kept`` boxes, sorted by descending score, that greedy suppression keeps, ascending."""
    number = boxes.shape[1]
    kept = np.zeros(0, np.intp)
    start, stop, kept_before = 0, min(number, _FIRST_CHUNK), 0
    index, chunk = np.arange(stop), boxes[:, :stop]
    while True:
        while len(index) > _FEW:
            rows = len(index) if len(index) <= _BLOCK else max(_MAX_PAIRS // 2 // len(index), 1)
            hits = _exceeds_threshold(chunk[:, :rows, None], chunk[:, None], threshold)  # [rows, boxes of the chunk]
            best = _nms_block(hits)
            kept = np.concatenate([kept, index.take(best)])
            missing = max_kept - len(kept)
            if rows == len(index) or missing <= 0:
                break
            remaining = _columns_without_hit(hits.take(best, axis=0), rows)
            needed = _boxes_needed(missing, len(best), rows)
            if needed < len(remaining):  # the others are left to the next chunk
                stop = int(index[remaining[needed]])
                remaining = remaining[:needed]
            index, chunk = index.take(remaining), chunk.take(remaining, axis=1)
        else:
            kept = np.concatenate([kept, index.take(_nms_few(chunk, threshold))])
        if stop == number or len(kept) >= max_kept:
            return kept[:max_kept]
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
    # An eighth more, since NMS keeps fewer of the later boxes.
    return missing * number * 9 // (max(kept, 1) * 8) + _SPARE


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
    kept: npt.NDArray[np.intp], boxes: FloatArray, start: int, stop: int, iou_threshold: np.float32
) -> npt.NDArray[np.intp]:
    """Return the indices, from ``start`` to before ``stop``, of the boxes that no ``kept`` one suppresses."""
    index, others, i = np.arange(start, stop), boxes[:, start:stop], 0
    while i < len(kept) and len(index):
        # The best boxes suppress the most: a few of them shorten a long chunk for the others.
        step = max(_MAX_PAIRS // len(index), 1)
        suppressing = boxes.take(kept[i : i + step], axis=1)
        hits = _exceeds_threshold(suppressing[:, :, None], others[:, None], iou_threshold)  # [step, others]
        remaining = _columns_without_hit(hits)
        index, others = index.take(remaining), others.take(remaining, axis=1)
        i += step
    return index


def _nms_few(boxes: FloatArray, iou_threshold: np.float32) -> npt.NDArray[np.intp]:
    """Return which of at most ``_FEW`` boxes greedy suppression keeps, from each pair once."""
    number = boxes.shape[1]
    later, earlier = _PAIRS[:, : number * (number - 1) // 2]
    hits = _exceeds_threshold(boxes.take(earlier, axis=1), boxes.take(later, axis=1), iou_threshold).nonzero()[0]
    kept = [True] * number
    for i, j in zip(earlier.take(hits).tolist(), later.take(hits).tolist(), strict=True):
        if kept[i]:
            kept[j] = False
    return np.array(kept, np.bool_).nonzero()[0]


def _nms_block(hits: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return which of the best boxes greedy suppression keeps; ``hits`` [rows, others] are their pairs with all boxes."""
    packed = np.packbits(hits[:, : len(hits)], axis=1, bitorder="little")
    kept, suppressed = [], 0
    for index, row in enumerate(packed.view(f"V{packed.shape[1]}").ravel().tolist()):  # one bytes object per row
        if not suppressed >> index & 1:
            kept.append(index)
            suppressed |= int.from_bytes(row, "little")
    return np.array(kept, np.intp)
