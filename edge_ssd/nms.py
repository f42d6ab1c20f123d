"""Greedy non-maximum suppression, exact."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import box_iou

__all__ = ["nms"]


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
    classes = None if class_ids is None else np.asarray(class_ids).reshape(-1)
    # A stable sort of the negated scores: equal scores stay in input order.
    remaining = np.argsort(-np.asarray(scores, np.float32).reshape(-1), kind="stable")
    kept: list[np.intp] = []
    while remaining.size and (max_detections is None or len(kept) < max_detections):
        best, rest = remaining[0], remaining[1:]
        kept.append(best)
        survives = box_iou(boxes[best], boxes[rest])[0] <= iou_threshold
        if classes is not None:
            survives |= classes[rest] != classes[best]
        remaining = rest[survives]
    return np.array(kept, np.intp)
