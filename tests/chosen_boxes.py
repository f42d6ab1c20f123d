"""A TinySSD that finds the same few boxes in every picture: those that a test chooses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge_ssd.coding import offset_boxes
from edge_ssd.network import Network

__all__ = ["ChosenBox", "save_model_that_finds"]


class ChosenBox(NamedTuple):
    """``box`` is xyxy in 0–1; ``class_id`` does not count background."""

    class_id: int
    score: float
    box: tuple[float, float, float, float]


def save_model_that_finds(path: Path, network: Network, chosen: Sequence[ChosenBox]) -> None:
    """Write a ``.keras`` model whose weights are all zero but the biases of the heads.

    The boxes come from the last level, which has one cell, so there can be as many as it has anchors.
    """
    from edge_ssd.training.model.tiny_ssd import TinySSD, save_tiny_ssd

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
        # What the others leave: all of the rest goes to background.
        logits[i] = -20.0
        logits[i, 0], logits[i, 1 + row.class_id] = 0.0, math.log(row.score / (1 - row.score))
        offsets[i] = offset_boxes(last.anchors()[i], np.array(row.box, np.float32), network.coding)
    model.cls_predictors[-1].bias.assign(logits.reshape(-1))
    model.bbox_predictors[-1].bias.assign(offsets.reshape(-1))
    save_tiny_ssd(model, path)
