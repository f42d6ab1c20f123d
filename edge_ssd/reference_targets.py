"""Training targets of the anchors: the NumPy reference.

Training uses :mod:`edge_ssd.training.loss.anchor_assignment`, the same rules in the TensorFlow graph; a test compares
the two. Source: d2l, "Anchor Boxes", ``assign_anchor_to_bbox`` and ``multibox_target``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, box_iou
from edge_ssd.checks import as_fraction, box_rows, float_array, require_finite, require_type, shortened
from edge_ssd.coding import BoxCoding, offset_boxes
from edge_ssd.errors import SettingError

__all__ = ["MultiboxTarget", "assign_anchors", "multibox_target"]


class MultiboxTarget(NamedTuple):
    """Targets of a batch of B images over A anchors."""

    offsets: FloatArray
    """float32 [B, A, 4], zero where the anchor is background."""
    masks: FloatArray
    """float32 [B, A], 1 where the anchor is assigned an object."""
    classes: npt.NDArray[np.int32]
    """int32 [B, A], 0 for background, else the object's class id + 1."""


def assign_anchors(
    anchors_xyxy: npt.ArrayLike, boxes_xyxy: npt.ArrayLike, iou_threshold: float = 0.5
) -> npt.NDArray[np.intp]:
    """Assign objects [M, 4] to anchors [A, 4].

    Every anchor gets the object of highest IoU, if that is at least ``iou_threshold``. Then every object gets its best
    anchor regardless of the IoU, best pair first, no anchor twice, until no anchor is left. Ties go to the lower index.

    Returns:
        intp [A], index of the object, −1 for background.
    """
    iou_threshold = as_fraction("iou_threshold", iou_threshold)
    iou = box_iou(anchors_xyxy, boxes_xyxy)  # [A, M]
    assigned = np.full(iou.shape[0], -1, np.intp)
    if iou.shape[1] == 0:
        return assigned
    positive = iou.max(axis=1) >= iou_threshold
    assigned[positive] = iou.argmax(axis=1)[positive]
    for _ in range(min(iou.shape)):
        anchor, box = np.unravel_index(iou.argmax(), iou.shape)
        assigned[anchor] = box
        iou[anchor, :] = -1
        iou[:, box] = -1
    return assigned


def multibox_target(
    anchors_xyxy: npt.ArrayLike, labels: npt.ArrayLike, iou_threshold: float = 0.5, coding: BoxCoding = BoxCoding()
) -> MultiboxTarget:
    """Return the training targets of anchors [A, 4], assigned by ``assign_anchors``, for labels [B, M, 5].

    A label row is (class id, xmin, ymin, xmax, ymax) in the anchors' units; a row of −1 is padding.

    Raises:
        SettingError: arrays of other shapes, numbers that are not finite, an invalid threshold.
    """
    anchors, batch = box_rows("anchors_xyxy", anchors_xyxy), float_array("labels", labels)
    if batch.ndim != 3 or batch.shape[2] != 5:
        hint = "; for one image, add a first axis: labels[None]" if batch.ndim == 2 else ""
        raise SettingError(f"labels must have shape [B, M, 5], got {list(batch.shape)}: {shortened(batch)}{hint}")
    require_finite("labels", batch)
    require_type("coding", coding, BoxCoding)
    offsets = np.zeros((len(batch), len(anchors), 4), np.float32)
    masks = np.zeros((len(batch), len(anchors)), np.float32)
    classes = np.zeros((len(batch), len(anchors)), np.int32)
    for i, rows in enumerate(batch):
        objects = rows[rows[:, 0] >= 0]
        assigned = assign_anchors(anchors, objects[:, 1:], iou_threshold)
        positive = np.flatnonzero(assigned >= 0)
        chosen = objects[assigned[positive]]
        offsets[i, positive] = offset_boxes(anchors[positive], chosen[:, 1:], coding)
        masks[i, positive] = 1
        classes[i, positive] = chosen[:, 0].astype(np.int32) + 1
    return MultiboxTarget(offsets, masks, classes)
