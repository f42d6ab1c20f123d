"""A TinySSD that detects given boxes in every image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge_ssd.coding import offset_boxes
from edge_ssd.network import Network

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["ChosenBox", "model_with_boxes"]


class ChosenBox(NamedTuple):
    """A detection; ``box`` is xyxy in 0–1, ``class_id`` is 0-based without background."""

    class_id: int
    score: float
    box: tuple[float, float, float, float]


def model_with_boxes(network: Network, chosen: Sequence[ChosenBox]) -> TinySSD:
    """Return a model with the detections ``chosen``, whose weights are zero except the biases of the heads.

    The boxes come from the last level, which has one cell: there can be at most as many as it has anchors.
    """
    from edge_ssd.training.model.tiny_ssd import TinySSD

    last, columns = network.levels[-1], network.num_classes + 1
    assert len(chosen) <= last.anchors_per_cell
    model = TinySSD(network)
    for weight in model.trainable_weights:
        if weight.path.endswith("kernel"):
            weight.assign(np.zeros(weight.shape))
    for level, layer in zip(network.levels, model.cls_predictors, strict=True):
        logits = np.zeros((level.anchors_per_cell, columns))
        logits[:, 0] = 20.0
        layer.bias.assign(logits.reshape(-1))
    logits, offsets = np.zeros((last.anchors_per_cell, columns)), np.zeros((last.anchors_per_cell, 4))
    logits[:, 0] = 20.0
    for i, row in enumerate(chosen):
        logits[i] = -20.0  # the remaining probability is that of background
        logits[i, 0], logits[i, 1 + row.class_id] = 0.0, math.log(row.score / (1 - row.score))
        offsets[i] = offset_boxes(last.anchors()[i], np.array(row.box, np.float32), network.coding)
    model.cls_predictors[-1].bias.assign(logits.reshape(-1))
    model.bbox_predictors[-1].bias.assign(offsets.reshape(-1))
    return model
