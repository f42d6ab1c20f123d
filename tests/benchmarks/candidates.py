"""Random outputs of the book's network with a given number of anchors above the threshold, as of an int8 model."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from edge_ssd.coding import offset_boxes
from edge_ssd.network import Network
from edge_ssd.reference_detection import softmax
from edge_ssd.runtime.postprocess import Head

__all__ = ["Candidates", "Kind", "candidates"]

Kind = Literal["scattered", "clustered"]

_CLASS_SCALE, _BOX_SCALE = 0.08, 0.08


class Candidates(NamedTuple):
    class_heads: list[Head]
    box_heads: list[Head]
    logits: np.ndarray
    """Dequantized logits, float32 [A, classes + 1], minus the maximum of each anchor, to which softmax is invariant."""
    offsets: np.ndarray
    """Dequantized offsets, float32 [A, 4]."""

    @property
    def probabilities(self) -> np.ndarray:
        return softmax(self.logits)


def candidates(network: Network, number: int, kind: Kind, quantized: bool = True) -> Candidates:
    """Return outputs with ``number`` anchors whose probability is above one half; all others are far below.

    Args:
        network: the network.
        number: number of candidates.
        kind: "scattered": random anchors with boxes close to them, most of them survive NMS. "clustered": anchors
            around eight objects, with noisy boxes of these, as a detector gives them; few survive.
        quantized: int8 heads, whose scores are often equal, instead of float ones.
    """
    random = np.random.default_rng(number)
    anchors, classes = network.anchors(), network.num_classes
    logits = random.normal(-3, 0.7, (len(anchors), classes + 1))
    logits[:, 0] = random.normal(5, 0.7, len(anchors))
    offsets = random.normal(0, 0.7, (len(anchors), 4))
    class_ids = random.integers(0, classes, len(anchors))
    if kind == "scattered":
        chosen = random.permutation(len(anchors))[:number]
    else:
        centers, sizes = random.uniform(0.2, 0.8, (8, 2)), random.uniform(0.2, 0.5, (8, 2))
        objects = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1).astype(np.float32)
        anchor_centers = (anchors[:, :2] + anchors[:, 2:]) / 2
        distance = np.abs(anchor_centers[:, None] - centers[None]).max(axis=2)  # [A, 8]
        nearest = distance.argmin(axis=1)
        chosen = np.argsort(distance.min(axis=1), kind="stable")[:number]
        offsets[chosen] += offset_boxes(anchors, objects[nearest], network.coding)[chosen]
        class_ids = nearest % classes
    logits[chosen, 0] = random.normal(-2, 0.5, number)
    logits[chosen, 1 + class_ids[chosen]] = random.uniform(1, 5, number)
    if not quantized:
        logits, offsets = logits.astype(np.float32), offsets.astype(np.float32)
        return Candidates(_heads(network, logits, None), _heads(network, offsets, None), logits, offsets)
    codes, box_codes = _quantize(logits, _CLASS_SCALE), _quantize(offsets, _BOX_SCALE)
    return Candidates(
        _heads(network, codes, _CLASS_SCALE),
        _heads(network, box_codes, _BOX_SCALE),
        # Subtracted before scaling, as in the runtime, so that equal scores stay equal.
        (codes.astype(np.float32) - codes.max(axis=1, keepdims=True)) * np.float32(_CLASS_SCALE),
        box_codes.astype(np.float32) * np.float32(_BOX_SCALE),
    )


def _quantize(values: np.ndarray, scale: float) -> np.ndarray:
    return np.clip(np.round(values / scale), -128, 127).astype(np.int8)


def _heads(network: Network, rows: np.ndarray, scale: float | None) -> list[Head]:
    heads, start = [], 0
    for level in network.levels:
        part = rows[start : start + level.num_anchors]
        start += level.num_anchors
        heads.append(Head(part.reshape(1, level.height, level.width, -1).copy(), scale, 0))
    return heads
