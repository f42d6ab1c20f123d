"""Anchor sizes and aspect ratios fitted to a dataset's objects by k-means with the distance 1 − IoU.

Unlike free k-means, the anchors must fit a network:

- The anchors of a level follow the book's rule: the first size with every ratio, the first ratio with every size. A
  size (ratio) moves to the mean logarithm over all objects whose anchor has this size (ratio).
- An anchor has a position: objects are assigned by their IoU with the nearest cell's anchor.
- An object is offered to the levels with the object in their receptive field
  (:func:`~edge_ssd.data.anchor_fitting.match.within_receptive_field`). It is not offered to a level on which it is
  smaller than 2 cells, where it would often lie between anchors, unless no finer level holds it.
- A level without objects gets anchors of 2 to 2.8 cells. The book's anchors exceed the receptive field of the finest
  level, so training would assign it objects that it cannot see.

K-means under IoU is from Redmon and Farhadi, 2017, "YOLO9000", section 2 (there for free shapes without position).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, xyxy_to_cxcywh
from edge_ssd.data.anchor_fitting.match import MATCH_IOU, anchor_shapes, shape_iou, within_receptive_field
from edge_ssd.errors import DataError
from edge_ssd.network import Level

__all__ = ["fit_anchors"]

_MAX_OBJECTS = 10_000
_RANDOM_STARTS = 16
_MAX_ITERATIONS = 40
_MIN_GAIN = 1e-4  # of the mean IoU per iteration; below it k-means has converged
_DECIMALS = 4
_MIN_CELLS = 2.0
_INITIAL_CELLS = (2.0, 2.8)
_MIN_OBJECTS = 10
# Smaller anchors would be one or two pixels of any input and match nothing.
_MIN_SIZE, _MAX_SIZE, _MAX_RATIO = 0.01, 2.0, 20.0


@dataclass(frozen=True)
class _Shapes:
    """Shapes of the objects in the units of one level, [N] each.

    ``size`` and ``ratio`` are logarithms of the ``multibox_prior`` arguments that give the object's shape; ``offered``
    is whether the object may be assigned to the level.
    """

    size: FloatArray
    ratio: FloatArray
    offered: npt.NDArray[np.bool_]


class _Score(NamedTuple):
    """Mean best IoU of the objects, and the share with a match."""

    iou: float
    matched: float


def fit_anchors(boxes_xyxy: npt.ArrayLike, levels: Sequence[Level], seed: int = 0) -> tuple[Level, ...]:
    """Fit the anchor sizes and ratios of every level to boxes; a level keeps its numbers of sizes and ratios.

    The result is deterministic. The last level, a single cell, keeps its anchors if no object is assigned to it.

    Args:
        boxes_xyxy: [N, 4] in 0–1 of the input, as returned by ``network_boxes``; no boxes raise DataError.
        levels: from fine to coarse; their sizes and ratios are only the initial values.
        seed: of the random starts of k-means, and of the subset of more than 10,000 objects.
    """
    boxes = xyxy_to_cxcywh(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
    if not len(boxes):
        raise DataError("anchors cannot be fitted: there are no boxes")
    rng = np.random.default_rng(seed)
    if len(boxes) > _MAX_OBJECTS:
        boxes = boxes[np.sort(rng.choice(len(boxes), _MAX_OBJECTS, replace=False))]
    shapes = _shapes(boxes, levels)
    best = _initial_levels(levels)
    best_score = _score(_iou(boxes, best, shapes))
    for start in (best, *(_random_start(best, shapes, rng) for _ in range(_RANDOM_STARTS))):
        current, previous = start, 0.0
        for _ in range(_MAX_ITERATIONS):
            iou = _iou(boxes, current, shapes)
            score = _score(iou)
            # A better mean IoU must not leave more objects without a match.
            if score.iou > best_score.iou and score.matched >= best_score.matched:
                best, best_score = current, score
            if score.iou < previous + _MIN_GAIN:
                break
            current, previous = _update(iou, current, shapes), score.iou
    return best


def _initial_levels(levels: Sequence[Level]) -> tuple[Level, ...]:
    """Return ``levels`` with sizes within their receptive field, spaced between the two of ``_INITIAL_CELLS``."""
    initial = []
    for level in levels[:-1]:
        count = len(level.sizes)
        cells = np.geomspace(*_INITIAL_CELLS, count) if count > 1 else [np.sqrt(np.prod(_INITIAL_CELLS))]
        initial.append(_level(level, [float(cell) / level.height for cell in cells], level.ratios))
    return *initial, levels[-1]


def _iou(boxes: FloatArray, levels: Sequence[Level], shapes: Sequence[_Shapes]) -> list[FloatArray]:
    """Return for each level the IoU float32 [N, anchors per cell], −1 if the object is not offered to the level."""
    return [
        np.where(shape.offered[:, None], shape_iou(boxes, level, anchor_shapes(level)), np.float32(-1))
        for level, shape in zip(levels, shapes, strict=True)
    ]


def _score(iou: Sequence[FloatArray]) -> _Score:
    best = np.max([level.max(axis=1) for level in iou], axis=0)
    return _Score(float(best.mean()), float((best >= MATCH_IOU).mean()))


def _update(iou: Sequence[FloatArray], levels: Sequence[Level], shapes: Sequence[_Shapes]) -> tuple[Level, ...]:
    """Run one k-means iteration: assign every object to its best anchor, then move sizes and ratios to the means."""
    assigned = np.concatenate(iou, axis=1).argmax(axis=1)
    updated: list[Level] = []
    first = 0
    for level, shape in zip(levels, shapes, strict=True):
        anchor = assigned - first
        first += level.anchors_per_cell
        # Order of multibox_prior: every size with the first ratio, then the first size with the other ratios.
        count = len(level.sizes)
        size_of = np.where(anchor < count, anchor, 0)
        ratio_of = np.where(anchor < count, 0, anchor - count + 1)
        inside = (anchor >= 0) & (anchor < level.anchors_per_cell)
        sizes = [_exp_mean(shape.size[inside & (size_of == i)], value) for i, value in enumerate(level.sizes)]
        ratios = [_exp_mean(shape.ratio[inside & (ratio_of == i)], value) for i, value in enumerate(level.ratios)]
        updated.append(_level(level, sizes, ratios))
    return tuple(updated)


def _shapes(boxes_cxcywh: FloatArray, levels: Sequence[Level]) -> list[_Shapes]:
    shapes = []
    on_finer_level = np.zeros(len(boxes_cxcywh), np.bool_)
    for index, (level, visible) in enumerate(zip(levels, within_receptive_field(boxes_cxcywh, levels).T, strict=True)):
        # multibox_prior: width = size·√ratio·rows/columns, height = size/√ratio.
        width = np.log(np.maximum(boxes_cxcywh[:, 2] * np.float32(level.width / level.height), np.float32(1e-6)))
        height = np.log(np.maximum(boxes_cxcywh[:, 3], np.float32(1e-6)))
        size = (width + height) / 2
        if index + 1 == len(levels):  # a single cell covers the whole image
            offered = np.exp(size) >= level.sizes[0]
        else:
            small = np.exp(size) * level.height < _MIN_CELLS
            offered = visible & ~(small & on_finer_level)
            on_finer_level |= visible
        shapes.append(_Shapes(size, width - height, offered))
    return shapes


def _random_start(levels: Sequence[Level], shapes: Sequence[_Shapes], rng: np.random.Generator) -> tuple[Level, ...]:
    """Return ``levels`` with the sizes and ratios of random objects that are offered to each level."""
    initial = []
    for level, shape in zip(levels, shapes, strict=True):
        offered = np.flatnonzero(shape.offered)
        if len(offered) >= max(_MIN_OBJECTS, len(level.sizes), len(level.ratios)):
            sizes = np.sort(np.exp(shape.size[rng.choice(offered, len(level.sizes), replace=False)])).tolist()
            ratios = np.exp(shape.ratio[rng.choice(offered, len(level.ratios), replace=False)]).tolist()
            level = _level(level, sizes, ratios)
        initial.append(level)
    return tuple(initial)


def _exp_mean(logarithms: FloatArray, default: float) -> float:
    return float(np.exp(logarithms.mean(dtype=np.float64))) if len(logarithms) else default


def _level(level: Level, sizes: Sequence[float], ratios: Sequence[float]) -> Level:
    return replace(
        level,
        sizes=tuple(round(min(max(size, _MIN_SIZE), _MAX_SIZE), _DECIMALS) for size in sizes),
        ratios=tuple(round(min(max(ratio, 1 / _MAX_RATIO), _MAX_RATIO), _DECIMALS) for ratio in ratios),
    )
