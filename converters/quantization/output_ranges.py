"""Choose the int8 output ranges of the heads.

Most anchors are background: their logits are far below every score threshold, and their offsets belong to no box. If
they set the range of a head, the few anchors that may become a detection are rounded too coarsely, which costs more
precision than all int8 layers before the heads. Ranges are therefore those of the candidate anchors
(:func:`candidate_anchors`), and values outside them are clipped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from converters.tflite.schema_model import read_model, write_model
from edge_ssd.evaluation.evaluate import SCORE_THRESHOLD
from edge_ssd.network import Network

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["Range", "calibrate_ranges", "candidate_anchors", "min_logit", "set_output_quantization"]

Range = tuple[float, float]
"""Minimum and maximum of an output's real values."""

# Logits below that of this score, shared by all classes, need not be distinguished.
_MIN_SCORE = 0.001
# Added at the ends of a range, as a share of it, for images that exceed the calibration images.
_MARGIN = 0.1
# A level has at least this number of candidates, those with the best scores, even if all scores are low.
_MIN_CANDIDATES = 200
_BATCH = 16


def calibrate_ranges(model: TinySSD, images: npt.NDArray[np.uint8]) -> dict[str, Range]:
    """Return name of the output → range (lowest, highest value) for each head, with a margin of up to 10 %.

    The classes of all levels have the same range, from :func:`min_logit` to the highest logit, because any level may
    show an object that no calibration image shows there. Boxes have the range of a level's :func:`candidate_anchors`.

    Args:
        model: a model whose background logits are 0, as
            :func:`~converters.quantization.head_coding.subtract_background_logit` returns it.
        images: uint8 [N, height, width, 3], calibration images.
    """
    columns = model.network.num_classes + 1
    levels = range(len(model.network.levels))
    max_logit = 0.0
    logits: list[list[npt.NDArray[np.float32]]] = [[] for _ in levels]
    offsets: list[list[npt.NDArray[np.float32]]] = [[] for _ in levels]
    for start in range(0, len(images), _BATCH):
        class_maps, box_maps = model.head_maps(images[start : start + _BATCH].astype(np.float32))
        for level in levels:
            best = class_maps[level].numpy().reshape(-1, columns)[:, 1:].max(axis=1)
            max_logit = max(max_logit, float(best.max()))
            logits[level].append(best)
            offsets[level].append(box_maps[level].numpy().reshape(-1, 4))
    low = min_logit(model.network)
    ranges: dict[str, Range] = {}
    for level in levels:
        ranges[f"classes_{level}"] = (low, max_logit + _MARGIN * (max_logit - low))
        ranges[f"boxes_{level}"] = _box_range(np.concatenate(logits[level]), np.concatenate(offsets[level]))
    return ranges


def set_output_quantization(flatbuffer: bytes, ranges: Mapping[str, Range]) -> bytes:
    """Return ``flatbuffer`` with each int8 output's scale and zero point set to its range (lowest, highest value).

    Other outputs are kept. No other value changes: weights and bias of a convolution use the scale of its input.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = read_model(flatbuffer)
    (graph,), (signature,) = model.subgraphs, model.signatureDefs
    for output in signature.outputs:
        tensor = graph.tensors[output.tensorIndex]
        if tensor.type == schema.TensorType.INT8:
            assert all(output.tensorIndex not in operator.inputs for operator in graph.operators)
            low, high = ranges[output.name.decode()]
            scale = np.float32((high - low) / 255)
            tensor.quantization.scale = [float(scale)]
            tensor.quantization.zeroPoint = [round(-128 - low / float(scale))]
    return write_model(model)


def min_logit(network: Network) -> float:
    """Return the class logit, relative to the background logit, below which the score, under 0.001, is negligible."""
    return math.log(_MIN_SCORE / network.num_classes)


def candidate_anchors(best_logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
    """Return a mask, bool [A], of the anchors that may become a detection.

    These are the anchors that may reach :data:`~edge_ssd.evaluation.evaluate.SCORE_THRESHOLD`, since a logit bounds
    the score, but at least the 200 with the highest logits.

    ``best_logits`` [A] are the maximum class logits of a level's anchors, relative to the background logit.
    """
    threshold = math.log(SCORE_THRESHOLD / (1 - SCORE_THRESHOLD))
    count = min(_MIN_CANDIDATES, len(best_logits))
    return best_logits >= min(threshold, float(np.partition(best_logits, -count)[-count]))


def _box_range(best_logits: npt.NDArray[np.float32], offsets: npt.NDArray[np.float32]) -> Range:
    """Return the range of a level's offsets [A, 4]; the anchors are those of all images."""
    candidates = offsets[candidate_anchors(best_logits)]
    margin = _MARGIN * float(np.ptp(candidates))
    low, high = float(candidates.min()) - margin, float(candidates.max()) + margin
    # Not wider than the values of all anchors, and with 0, which int8 must represent exactly.
    return min(0.0, max(low, float(offsets.min()))), max(0.0, min(high, float(offsets.max())), 1e-6)
