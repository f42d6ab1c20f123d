"""Match between a network's anchors and a dataset's objects: the best IoU of each object, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.anchors import multibox_prior
from edge_ssd.boxes import FloatArray, intersection_over_union, xyxy_to_cxcywh
from edge_ssd.data.dataset import Dataset
from edge_ssd.network import InputSpec, Level
from edge_ssd.runtime.preprocess import resize_transform

__all__ = [
    "MATCH_IOU",
    "RECEPTIVE_FIELD_CELLS",
    "AnchorMatch",
    "anchor_shapes",
    "match_anchors",
    "network_boxes",
    "shape_iou",
    "within_receptive_field",
]

MATCH_IOU = 0.5
"""Minimum IoU of a match. The book's assignment gives other objects only their single best anchor."""

RECEPTIVE_FIELD_CELLS = 5.0
"""Maximum size, in cells of a level, of an object that lies within the level's receptive field.

There are two 3×3 convolutions between two down-samplings, and the head adds one: the receptive field is 6½ cells on the
finest level and at most 7 on the others. It needs to include a margin around the object.
"""


@dataclass(frozen=True)
class AnchorMatch:
    """How well anchors match the objects of a dataset, of which there are ``objects``.

    Attributes:
        matched: share of objects with an anchor of IoU ≥ ``MATCH_IOU``.
        matched_by_level: the same for the anchors of each level.
        mean_iou: mean best IoU of the objects.
        seen: share of objects whose best anchor is on a level with the object in its receptive field.
        unmatched: longer sides of the objects without a match, in 0–1 of the input.
    """

    objects: int
    matched: float
    matched_by_level: tuple[float, ...]
    mean_iou: float
    seen: float
    unmatched: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible dict without ``unmatched``; all but ``objects`` is None if there are no objects."""
        shares = {
            "matched": round(self.matched, 4),
            "matched_by_level": [round(share, 4) for share in self.matched_by_level],
            "mean_iou": round(self.mean_iou, 4),
            "seen": round(self.seen, 4),
        }
        return {"objects": self.objects, **(shares if self.objects else dict.fromkeys(shares))}


def network_boxes(dataset: Dataset, spec: InputSpec) -> FloatArray:
    """Return the boxes of all samples of known size, resized as in ``spec``: float32 [N, 4] xyxy, 0–1 of the input."""
    boxes = [
        resize_transform(sample.size, spec).from_pixels(sample.boxes_xyxy)
        for sample in dataset.samples
        if sample.size is not None
    ]
    return np.concatenate([np.zeros((0, 4), np.float32), *boxes])


def anchor_shapes(level: Level) -> FloatArray:
    """Return (width, height) of the anchors of a cell, float32 [anchors per cell, 2], in 0–1 of the input."""
    anchors = multibox_prior(level.height, level.width, level.sizes, level.ratios)
    return xyxy_to_cxcywh(anchors)[: level.anchors_per_cell, 2:]


def shape_iou(boxes_cxcywh: FloatArray, level: Level, shapes: FloatArray) -> FloatArray:
    """Return the IoU of boxes [N, 4] with the nearest anchor of each shape [K, 2] of a level, float32 [N, K].

    A shape is (width, height); units are 0–1 of the input. No other anchor of a shape has a higher IoU.
    """
    cells = np.array([level.width, level.height], np.float32)
    centers = (np.clip(np.floor(boxes_cxcywh[:, :2] * cells), 0, cells - 1) + np.float32(0.5)) / cells
    offsets = np.abs(boxes_cxcywh[:, :2] - centers)
    overlap = [  # of each axis, [N, K]
        np.clip((box_side[:, None] + side) / 2 - offset[:, None], 0, np.minimum(box_side[:, None], side))
        for box_side, side, offset in zip(boxes_cxcywh[:, 2:].T, shapes.T, offsets.T, strict=True)
    ]
    areas = boxes_cxcywh[:, 2:].prod(axis=1)[:, None], shapes.prod(axis=1)
    return intersection_over_union(overlap[0] * overlap[1], *areas)


def within_receptive_field(boxes_cxcywh: FloatArray, levels: Sequence[Level]) -> npt.NDArray[np.bool_]:
    """Return which boxes span at most ``RECEPTIVE_FIELD_CELLS`` cells of each level, as all do on the last two levels.

    Boxes [N, 4] are in 0–1 of the input; the result is bool [N, levels].
    """
    cells = np.array([(level.width, level.height) for level in levels], np.float32)
    longer = (boxes_cxcywh[:, None, 2:] * cells).max(axis=2)
    seen: npt.NDArray[np.bool_] = (longer <= RECEPTIVE_FIELD_CELLS) | (np.arange(len(levels)) >= len(levels) - 2)
    return seen


def match_anchors(boxes_xyxy: npt.ArrayLike, levels: Sequence[Level]) -> AnchorMatch:
    """Return how well the anchors of ``levels`` match boxes [N, 4], as returned by :func:`network_boxes`."""
    boxes = xyxy_to_cxcywh(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
    if not len(boxes):
        return AnchorMatch(0, 0.0, (0.0,) * len(levels), 0.0, 0.0, np.zeros(0, np.float32))
    iou = np.stack([shape_iou(boxes, level, anchor_shapes(level)).max(axis=1) for level in levels], axis=1)
    best = iou.max(axis=1)
    return AnchorMatch(
        objects=len(boxes),
        matched=float((best >= MATCH_IOU).mean()),
        matched_by_level=tuple(float(share) for share in (iou >= MATCH_IOU).mean(axis=0)),
        mean_iou=float(best.mean()),
        seen=float(within_receptive_field(boxes, levels)[np.arange(len(boxes)), iou.argmax(axis=1)].mean()),
        unmatched=boxes[best < MATCH_IOU, 2:].max(axis=1),
    )
