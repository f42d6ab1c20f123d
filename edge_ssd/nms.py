"""Greedy non-maximum suppression: exact, vectorized, bounded.

Boxes are processed by descending score, a chunk at a time. NumPy compares the best boxes of a chunk with all of it, in
a dozen calls; each row of the result is one integer, whose bits decide which of the best boxes are kept, and their rows
suppress the rest of the chunk. A later chunk is first compared with the boxes kept so far. So the search ends as soon
as enough boxes are kept, and memory does not grow with their number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import TINY, FloatArray
from edge_ssd.checks import as_fraction, as_integer, box_rows, float_array, require_finite, shortened
from edge_ssd.errors import SettingError

__all__ = ["argsort_descending", "nms", "nms_sorted"]

# With fewer boxes at a time, the calls cost more than the comparisons; with more, their float32 corners do not fit in a
# processor's second-level cache.
_MAX_PAIRS = 16384
_FIRST_CHUNK, _MAX_CHUNK = 320, 4096
_SPARE = 4  # more boxes than estimated, to avoid a small chunk at the end
_BLOCK = 128  # up to as many boxes are all compared with each other at once
_FEW = 32  # up to as many boxes are compared pair by pair
_PAIRS = np.array(np.tril_indices(_FEW, -1))  # [2, pairs], later box and earlier box; the first boxes' pairs first
_MANY = 512  # from so many boxes, preparations pay that save a part of the work per box

# Rows of a table of boxes: four planes, see nms_sorted(), the area and, if classes differ, the class id.
_AREA, _CLASS_ID = 4, 5
_MAX_CLASS_ID = 2**24  # integers up to here are exact as float32


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

    Raises:
        SettingError: arrays of other shapes or different lengths, numbers that are not finite, an invalid threshold or
            maximum.
    """
    boxes, values = box_rows("boxes_xyxy", boxes_xyxy), float_array("scores", scores)
    if values.shape != (len(boxes),):
        raise _length_error("scores", values, len(boxes))
    require_finite("scores", values)
    threshold = as_fraction("iou_threshold", iou_threshold)
    if max_detections is not None:
        max_detections = as_integer("max_detections", max_detections, 0)
    order = argsort_descending(values)
    classes = None
    if class_ids is not None:
        classes = _small_ids(class_ids, len(boxes)).take(order)
    planes = _negated_minmax_planes(boxes.T.take(order, axis=1))
    kept = nms_sorted(planes, threshold, classes, max_detections)
    best: npt.NDArray[np.intp] = order[kept]
    return best


def _small_ids(class_ids: npt.ArrayLike, number: int) -> npt.NDArray[np.integer]:
    """Return the class ids [number] as integers that float32 can hold; raise SettingError for others."""
    try:
        ids = np.asarray(class_ids)
    except ValueError:  # lists of different lengths
        ids = float_array("class_ids", class_ids)
    if ids.shape != (number,):
        raise _length_error("class_ids", ids, number)
    if not number:
        return np.zeros(0, np.intp)
    if ids.dtype.kind not in "iu":
        require_finite("class_ids", float_array("class_ids", ids))
    elif np.minimum.reduce(ids) >= 0 and np.maximum.reduce(ids) <= _MAX_CLASS_ID:
        return ids
    return np.unique(ids, return_inverse=True)[1]


def _length_error(name: str, array: npt.NDArray[Any], number: int) -> SettingError:
    shape = list(array.shape)
    return SettingError(f"{name} must have one number for each box, shape [{number}], got {shape}: {shortened(array)}")


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
    threshold = float(iou_threshold)
    if number <= _FEW:
        return _nms_few(_box_table(planes, class_ids), threshold)[:max_kept]
    # The first chunk often gives enough boxes: the others are not even copied.
    first = _box_table(planes[:, :_FIRST_CHUNK], None if class_ids is None else class_ids[:_FIRST_CHUNK])
    kept, stop = _nms_chunk(first, np.arange(first.shape[1]), first.shape[1], threshold, max_kept)
    if stop == number or len(kept) >= max_kept:
        return kept[:max_kept]
    boxes = _box_table(planes, class_ids)
    if class_ids is None or number < _MANY:
        return _nms_from(stop, kept, boxes, threshold, max_kept)
    best, index = _best_of_classes(boxes, threshold)
    others = index.take(_nms_from(0, np.zeros(0, np.intp), boxes.take(index, axis=1), threshold, max_kept))
    return np.sort(np.concatenate([best, others]))[:max_kept]


def _best_of_classes(boxes: FloatArray, iou_threshold: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Keep the best box of each class, then the best of those that these do not suppress, and so on, while it is fast.

    A round compares each box with one other, of its class, where chunks compare boxes of all classes.

    Returns:
        The indices of the boxes kept, in any order, and of the boxes that none of them suppresses, ascending.
    """
    class_ids = boxes[_CLASS_ID].astype(np.min_scalar_type(int(boxes[_CLASS_ID].max())))  # NumPy sorts bytes fastest
    index = class_ids.argsort(kind="stable")  # by class, then by score
    kept, number = [], 2 * len(index)
    while _FIRST_CHUNK < len(index) <= number * 3 // 4:  # the last round suppressed at least a quarter
        number = len(index)
        sorted_boxes = boxes.take(index, axis=1)
        classes = sorted_boxes[_CLASS_ID]
        edges = np.concatenate([[True], classes[1:] != classes[:-1], [True]]).nonzero()[0]
        first, counts = edges[:-1], edges[1:] - edges[:-1]
        best = sorted_boxes.take(first, axis=1).repeat(counts, axis=1)
        suppressed = _exceeds_threshold(best, sorted_boxes, iou_threshold)
        suppressed[first] = True
        kept.append(index.take(first))
        index = index.take(np.logical_not(suppressed, out=suppressed).nonzero()[0])
    return np.concatenate(kept), np.sort(index)


def _nms_from(
    start: int, kept: npt.NDArray[np.intp], boxes: FloatArray, iou_threshold: float, max_kept: int
) -> npt.NDArray[np.intp]:
    """Return the best ``max_kept`` boxes that greedy suppression keeps; ``kept`` are those before ``start``."""
    number = boxes.shape[1]
    last_kept, last_size = len(kept), start
    while start < number and len(kept) < max_kept:
        # Where many boxes are kept, several small chunks take fewer comparisons than a large one.
        wanted = min(_BLOCK // 2, max_kept - len(kept))
        size = min(_MAX_CHUNK, _boxes_needed(wanted, last_kept, last_size)) if start else _FIRST_CHUNK
        stop = min(number, start + size)
        index = _unsuppressed(kept, boxes, start, stop, iou_threshold)
        new, stop = _nms_chunk(boxes, index, stop, iou_threshold, max_kept - len(kept))
        kept = np.concatenate([kept, new])
        start, last_kept, last_size = stop, len(new), stop - start
    return kept[:max_kept]


def _nms_chunk(
    boxes: FloatArray, index: npt.NDArray[np.intp], stop: int, iou_threshold: float, max_kept: int
) -> tuple[npt.NDArray[np.intp], int]:
    """Return which boxes of ``index``, all before ``stop``, greedy suppression keeps, and where it stopped.

    That is earlier than ``stop`` if fewer boxes seem to give ``max_kept``: the others are left out.
    """
    kept = []
    chunk = boxes[:, :stop] if len(index) == stop else boxes.take(index, axis=1)
    while len(index) > _FEW:
        rows = len(index) if len(index) <= _BLOCK else max(_MAX_PAIRS // 2 // len(index), 1)
        hits = _exceeds_threshold(chunk[:, :rows, None], chunk[:, None], iou_threshold)  # [rows, chunk]
        best = _nms_block(hits)
        kept.append(index.take(best))
        max_kept -= len(best)
        if rows == len(index) or max_kept <= 0:
            break
        remaining = _columns_without_hit(hits.take(best, axis=0), rows)
        needed = _boxes_needed(max_kept, len(best), rows)
        if needed < len(remaining):
            stop = int(index[remaining[needed]])
            remaining = remaining[:needed]
        index, chunk = index.take(remaining), chunk.take(remaining, axis=1)
    else:
        kept.append(index.take(_nms_few(chunk, iou_threshold)))
    return np.concatenate(kept), stop


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


def _exceeds_threshold(boxes: FloatArray, others: FloatArray, iou_threshold: float) -> npt.NDArray[np.bool_]:
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
    kept: npt.NDArray[np.intp], boxes: FloatArray, start: int, stop: int, iou_threshold: float
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


def _nms_few(boxes: FloatArray, iou_threshold: float) -> npt.NDArray[np.intp]:
    """Return which of at most ``_FEW`` boxes greedy suppression keeps; each pair is compared once."""
    number = boxes.shape[1]
    later, earlier = _PAIRS[:, : number * (number - 1) // 2]
    hits = _exceeds_threshold(boxes.take(earlier, axis=1), boxes.take(later, axis=1), iou_threshold).nonzero()[0]
    if not len(hits):
        return np.arange(number)
    kept = [True] * number
    for i, j in zip(*_PAIRS.take(hits, axis=1).tolist(), strict=True):
        if kept[j]:
            kept[i] = False
    return np.array(kept, np.bool_).nonzero()[0]


def _nms_block(hits: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return which of the best boxes greedy suppression keeps, from their ``hits`` [best boxes, all boxes]."""
    packed = np.packbits(hits[:, : len(hits)], axis=1, bitorder="little")
    kept, suppressed = [], 0
    for index, row in enumerate(packed.view(f"V{packed.shape[1]}").ravel().tolist()):  # one bytes object per row
        if not suppressed >> index & 1:
            kept.append(index)
            suppressed |= int.from_bytes(row, "little")
    return np.array(kept, np.intp)
