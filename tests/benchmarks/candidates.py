"""Heads of the book's network with a given number of anchors over the threshold, as an int8 model would give them."""

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
    """The same dequantized, less each anchor's largest, which softmax does not notice: float32 [A, classes + 1]."""
    offsets: np.ndarray
    """The same dequantized: float32 [A, 4]."""

    @property
    def probabilities(self) -> np.ndarray:
        return softmax(self.logits)


def candidates(network: Network, number: int, kind: Kind, quantized: bool = True) -> Candidates:
    """``number`` anchors with a probability over one half, all others far below.

    scattered: at random places, boxes close to their anchors: most are kept. clustered: around eight objects, as a
    detector's are, each anchor's box being that of the object, with some error: few are kept. Quantised scores are
    often equal; float heads' are not.
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
        centres, sizes = random.uniform(0.2, 0.8, (8, 2)), random.uniform(0.2, 0.5, (8, 2))
        objects = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).astype(np.float32)
        middle = (anchors[:, :2] + anchors[:, 2:]) / 2
        distance = np.abs(middle[:, None] - centres[None]).max(axis=2)  # [A, 8]
        nearest = distance.argmin(axis=1)
        chosen = np.argsort(distance.min(axis=1), kind="stable")[:number]
        offsets[chosen] += offset_boxes(anchors, objects[nearest], network.coding)[chosen]
        class_ids = nearest % classes
    logits[chosen, 0] = random.normal(-2, 0.5, number)
    logits[chosen, 1 + class_ids[chosen]] = random.uniform(1, 5, number)
    if not quantized:
        logits, offsets = logits.astype(np.float32), offsets.astype(np.float32)
        return Candidates(_heads(network, logits, None), _heads(network, offsets, None), logits, offsets)
    codes, box_codes = _quantized(logits, _CLASS_SCALE), _quantized(offsets, _BOX_SCALE)
    return Candidates(
        _heads(network, codes, _CLASS_SCALE),
        _heads(network, box_codes, _BOX_SCALE),
        # Differences first, as the runtime has them: where two score the same, so do they here.
        (codes.astype(np.float32) - codes.max(axis=1, keepdims=True)) * np.float32(_CLASS_SCALE),
        box_codes.astype(np.float32) * np.float32(_BOX_SCALE),
    )


def _quantized(values: np.ndarray, scale: float) -> np.ndarray:
    return np.clip(np.round(values / scale), -128, 127).astype(np.int8)


def _heads(network: Network, rows: np.ndarray, scale: float | None) -> list[Head]:
    heads, start = [], 0
    for level in network.levels:
        part = rows[start : start + level.num_anchors]
        start += level.num_anchors
        heads.append(Head(part.reshape(1, level.height, level.width, -1).copy(), scale, 0))
    return heads
