"""Histogram of box sizes compared with a network's anchors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import xyxy_to_cxcywh
from edge_ssd.charts import BLUE, ORANGE, new_figure
from edge_ssd.data.anchor_fitting.match import MATCH_IOU, anchor_shapes, match_anchors, shape_iou
from edge_ssd.network import Level

if TYPE_CHECKING:
    from edge_ssd.charts import Figure

__all__ = ["size_histogram"]

_MIN_SIZE, _BINS = 0.01, 40  # logarithmic bins from 1 % of the input to all of it
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def size_histogram(boxes_xyxy: npt.ArrayLike, levels: Sequence[Level], title: str) -> Figure:
    """Plot the distribution of box sizes, with and without a matching anchor, above the anchor sizes of each level.

    Boxes [N, 4] are in 0–1 of the input; they match from IoU 0.5. The size of a box is the square root of its area.
    """
    boxes = xyxy_to_cxcywh(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
    sizes = np.clip(np.sqrt(boxes[:, 2] * boxes[:, 3]), _MIN_SIZE, 1)
    best_iou = [shape_iou(boxes, level, anchor_shapes(level)).max(axis=1, initial=0) for level in levels]
    matched = np.max(best_iou, axis=0) >= MATCH_IOU
    count, total = int(matched.sum()), max(len(boxes), 1)

    figure = new_figure(900, 520)
    histogram, anchors = figure.subplots(2, 1, sharex=True, height_ratios=(5, 2))
    histogram.hist(
        [sizes[matched], sizes[~matched]],
        bins=np.geomspace(_MIN_SIZE, 1, _BINS + 1).tolist(),
        stacked=True,
        rwidth=0.88,
        color=[BLUE, ORANGE],
        label=[
            f"{count} ({count / total:.0%}) match an anchor (IoU ≥ {MATCH_IOU})",
            f"{len(boxes) - count} match none",
        ],
    )
    histogram.set_title(title, loc="left")
    histogram.set_ylabel("boxes")
    histogram.legend()
    match = match_anchors(boxes_xyxy, levels)
    for row, level in enumerate(levels):
        anchor_sizes = np.sqrt(anchor_shapes(level).prod(axis=1))
        anchors.plot(anchor_sizes, [row] * len(anchor_sizes), "|", color=BLUE, markersize=10, markeredgewidth=3)
    shares = [f": {share:.0%}" if match.objects else "" for share in match.matched_by_level]
    names = [f"{level.height}×{level.width}{share}" for level, share in zip(levels, shares, strict=True)]
    anchors.set_yticks(range(len(levels)), names)
    anchors.set(ylim=(len(levels) - 0.5, -0.5), ylabel="anchors: boxes\nmatched by level")
    anchors.set_xscale("log")
    anchors.set_xticks(_TICKS, [f"{tick:.0%}" for tick in _TICKS])
    anchors.set_xticks([], minor=True)
    anchors.set(xlim=(_MIN_SIZE, 1), xlabel="box size: square root of the area, relative to the network's input")
    return figure
