"""How well a network's anchors fit a data set's objects: the best IoU that each object finds, level by level."""

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
    "VIEW_CELLS",
    "AnchorMatch",
    "anchor_shapes",
    "match_anchors",
    "network_boxes",
    "shape_iou",
    "within_receptive_field",
]

MATCH_IOU = 0.5
"""From this IoU on the book's assignment gives an object an anchor; others get their one best anchor, however bad."""

VIEW_CELLS = 5.0
"""A level sees objects of up to so many of its cells whole, and a little around them.

Between two halvings of the network there are two 3×3 convolutions, and the head adds one: its field of view is 6½ cells
on the finest level and no more than 7 on any other.
"""


@dataclass(frozen=True)
class AnchorMatch:
    """How many objects find a matching anchor.

    Attributes:
        objects: how many there are.
        matched: share of them with an anchor of IoU ≥ ``MATCH_IOU``.
        matched_by_level: the same, for each level's anchors alone.
        mean_iou: mean over the objects of their best IoU.
        seen: share of them whose best anchor is on a level that sees them whole: see ``VIEW_CELLS``.
        unmatched: the longer sides, in 0–1 of the input, of objects without a match.
    """

    objects: int
    matched: float
    matched_by_level: tuple[float, ...]
    mean_iou: float
    seen: float
    unmatched: FloatArray

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; None for shares of no object."""
        if not self.objects:
            return {"objects": 0, "matched": None, "matched_by_level": None, "mean_iou": None, "seen": None}
        return {
            "objects": self.objects,
            "matched": round(self.matched, 4),
            "matched_by_level": [round(share, 4) for share in self.matched_by_level],
            "mean_iou": round(self.mean_iou, 4),
            "seen": round(self.seen, 4),
        }


def network_boxes(dataset: Dataset, spec: InputSpec) -> FloatArray:
    """Every box as the network sees it, stretched or letterboxed: float32 [N, 4], xyxy in 0–1 of the input.

    Samples whose size is not known are left out.
    """
    boxes = [
        resize_transform(sample.size, spec).from_pixels(sample.boxes_xyxy)
        for sample in dataset.samples
        if sample.size is not None
    ]
    return np.concatenate([np.zeros((0, 4), np.float32), *boxes])


def anchor_shapes(level: Level) -> FloatArray:
    """(width, height) of a level's anchors in a cell, float32 [anchors a cell, 2], in 0–1 of the input."""
    return xyxy_to_cxcywh(multibox_prior(level.height, level.width, level.sizes, level.ratios))[
        : level.anchors_per_cell, 2:
    ]


def shape_iou(boxes_cxcywh: FloatArray, level: Level, shapes: FloatArray) -> FloatArray:
    """IoU of boxes [N, 4] with the best placed anchor of each shape [K, 2] in ``level``'s cells, float32 [N, K].

    The best placed anchor is the one of the nearest cell, since overlap only falls with distance: so no object needs
    to be compared with all anchors.
    """
    cells = np.array([level.width, level.height], np.float32)
    centres = (np.clip(np.floor(boxes_cxcywh[:, :2] * cells), 0, cells - 1) + np.float32(0.5)) / cells
    distance = np.abs(boxes_cxcywh[:, :2] - centres)
    overlap = [  # of each axis, [N, K]
        np.clip((size[:, None] + side) / 2 - apart[:, None], 0, np.minimum(size[:, None], side))
        for size, side, apart in zip(boxes_cxcywh[:, 2:].T, shapes.T, distance.T, strict=True)
    ]
    areas = boxes_cxcywh[:, 2:].prod(axis=1)[:, None], shapes.prod(axis=1)
    return intersection_over_union(overlap[0] * overlap[1], *areas)


def within_receptive_field(boxes_cxcywh: FloatArray, levels: Sequence[Level]) -> npt.NDArray[np.bool_]:
    """Which of ``levels`` sees which of boxes [N, 4] whole, bool [N, levels]; the two coarsest see all."""
    cells = np.array([(level.width, level.height) for level in levels], np.float32)
    longer = (boxes_cxcywh[:, None, 2:] * cells).max(axis=2)
    seen: npt.NDArray[np.bool_] = (longer <= VIEW_CELLS) | (np.arange(len(levels)) >= len(levels) - 2)
    return seen


def match_anchors(boxes_xyxy: npt.ArrayLike, levels: Sequence[Level]) -> AnchorMatch:
    """Compare boxes [N, 4], as :func:`network_boxes` gives them, with the anchors of ``levels``."""
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
