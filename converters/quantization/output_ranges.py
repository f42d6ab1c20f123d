"""What the 256 values of an int8 head are spent on.

A head's range, if it is taken from all its values, is set by background: thousands of anchors whose logits lie far
below any score that anybody looks at, and whose offsets are of no box. The few that find something are then rounded
to steps several times as coarse as need be, which costs more precision than all int8 layers before the heads.

Hence, first, a box's w and h are given in the unit of its x and y (:func:`equalize_box_scales`): by SSD's coding they
would
use half of the steps. Second, logits are given relative to background's (:func:`subtract_background_logit`): softmax
sees
the same, one rounding takes the place of two, and a logit says by itself how its anchor scores. And third, each head's
range is that of the anchors that matter (:func:`head_ranges`); what lies beyond is cut off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from converters.tflite.schema_model import read_model, write_model
from edge_ssd.coding import BoxCoding
from edge_ssd.evaluation.evaluate import SCORE_THRESHOLD
from edge_ssd.network import Network

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = [
    "Range",
    "candidate_anchors",
    "equalize_box_scales",
    "head_ranges",
    "min_logit",
    "set_output_quantization",
    "subtract_background_logit",
    "with_box_coding",
]

Range = tuple[float, float]

# A logit that makes less of a score than this, with all classes together, need not be told from another one.
_LEAST_SCORE = 0.001
# Beyond what the calibration pictures show, as a share of it: others will show a little more.
_MARGIN = 0.1
# The anchors of a level that matter are at least so many, the best scored, be their scores ever so low.
_LEAST_ANCHORS = 200
_BATCH = 16


def equalize_box_scales(model: TinySSD) -> TinySSD:
    """``model``, or a copy that gives the same boxes, with w and h as long as x and y: its coding has one factor.

    One range serves all offsets of a head. By SSD's factors, 10 and 5, an object an anchor's width away needs 10, and
    one of twice the anchor's size needs 3.5: w and h have half of the steps, and boxes are off by them.
    """
    coding = model.network.coding
    return with_box_coding(model, replace(coding, wh_scale=max(coding.xy_scale, coding.wh_scale)))


def with_box_coding(model: TinySSD, coding: BoxCoding) -> TinySSD:
    """``model`` if it has this ``coding``, else a copy with it that gives the same boxes and scores."""
    from edge_ssd.training.model.tiny_ssd import TinySSD

    before = model.network.coding
    if coding == before:
        return model
    copy = TinySSD(replace(model.network, coding=coding), name=model.name)
    copy.set_weights(model.get_weights())
    xy, wh = coding.xy_scale / before.xy_scale, coding.wh_scale / before.wh_scale
    for head in copy.bbox_predictors:
        for weight in (head.kernel, head.bias):
            values = weight.numpy().astype(np.float64)
            weight.assign((values * np.tile([xy, xy, wh, wh], values.shape[-1] // 4)).astype(np.float32))
    return copy


def subtract_background_logit(model: TinySSD) -> TinySSD:
    """A copy of ``model`` that gives background the logit 0 everywhere, and the scores that ``model`` gives."""
    from edge_ssd.training.model.tiny_ssd import TinySSD

    copy = TinySSD(model.network, name=model.name)
    copy.set_weights(model.get_weights())
    columns = model.network.num_classes + 1
    for head in copy.cls_predictors:
        for weight in (head.kernel, head.bias):
            values = weight.numpy().astype(np.float64)
            by_class = values.reshape(*values.shape[:-1], -1, columns)
            weight.assign((by_class - by_class[..., :1]).reshape(values.shape).astype(np.float32))
    return copy


def head_ranges(model: TinySSD, images: npt.NDArray[np.uint8]) -> dict[str, Range]:
    """The least and the greatest value that each head must tell apart, by its output's name.

    Args:
        model: as :func:`subtract_background_logit` returns it.
        images: uint8 [N, height, width, 3] to take the ranges from.

    Classes have one range at all levels, from where a score is nothing to the highest logit: any level may show an
    object that no calibration picture shows there. A level's boxes have the range of its anchors that score anything.
    """
    columns = model.network.num_classes + 1
    highest, best, offsets = 0.0, _Levels(model), _Levels(model)
    for class_maps, box_maps in _heads(model, images):
        for level, (logits, boxes) in enumerate(zip(class_maps, box_maps, strict=True)):
            found = logits.reshape(-1, columns)[:, 1:].max(axis=1)
            highest = max(highest, float(found.max()))
            best[level].append(found)
            offsets[level].append(boxes.reshape(-1, 4))
    lowest = min_logit(model.network)
    ranges: dict[str, Range] = {}
    for level in range(len(model.network.levels)):
        ranges[f"classes_{level}"] = (lowest, highest + _MARGIN * (highest - lowest))
        ranges[f"boxes_{level}"] = _box_range(np.concatenate(best[level]), np.concatenate(offsets[level]))
    return ranges


def set_output_quantization(flatbuffer: bytes, ranges: Mapping[str, Range]) -> bytes:
    """``flatbuffer`` with each int8 head in steps of its range / 255; other heads stay.

    Nothing else depends on an output's steps: a convolution's weights and bias are in steps of its input's.
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
    """The logit, relative to background's, that a class's need not be told from where it is lower."""
    return math.log(_LEAST_SCORE / network.num_classes)


def candidate_anchors(best: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
    """Which anchors of a level may become a detection, given the greatest logit of each relative to background's [A].

    A score is at most what the logit alone makes of it; below :data:`~edge_ssd.evaluation.evaluate.SCORE_THRESHOLD`
    nothing is looked at.
    """
    least = math.log(SCORE_THRESHOLD / (1 - SCORE_THRESHOLD))
    enough = min(_LEAST_ANCHORS, len(best))
    return best >= min(least, float(np.partition(best, -enough)[-enough]))


class _Levels(list[list[Any]]):
    """An empty list for each level."""

    def __init__(self, model: TinySSD) -> None:
        super().__init__([] for _ in model.network.levels)


def _heads(
    model: TinySSD, images: npt.NDArray[np.uint8]
) -> Iterator[tuple[list[npt.NDArray[np.float32]], list[npt.NDArray[np.float32]]]]:
    for start in range(0, len(images), _BATCH):
        class_maps, box_maps = model.head_maps(images[start : start + _BATCH].astype(np.float32))
        yield [values.numpy() for values in class_maps], [values.numpy() for values in box_maps]


def _box_range(best: npt.NDArray[np.float32], offsets: npt.NDArray[np.float32]) -> Range:
    """Given the greatest logit [A] and the offsets [A, 4] of a level's anchors in all pictures."""
    chosen = offsets[candidate_anchors(best)]
    margin = _MARGIN * float(np.ptp(chosen))
    low, high = float(chosen.min()) - margin, float(chosen.max()) + margin
    # No wider than all of them need, and with 0 in it, which must have a value of its own.
    return min(0.0, max(low, float(offsets.min()))), max(0.0, min(high, float(offsets.max())), 1e-6)
