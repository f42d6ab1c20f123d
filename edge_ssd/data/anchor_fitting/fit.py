"""Anchor sizes and ratios fitted to a data set's objects, by k-means under the distance 1 − IoU.

A free k-means would give any set of shapes. Here they have to serve a network:

- A level's shapes are tied by the book's rule (first size with every ratio, first ratio with every size): the mean that
  is taken is that of the sizes, and of the ratios, of all objects whose anchor shares them (as logarithms).
- An anchor also has to lie where the object is: objects are assigned by their IoU with the best placed anchor.
- A level sees only so much of the picture (:func:`~edge_ssd.data.anchor_fitting.match.within_receptive_field`). So an
object is offered to
  the levels that see it whole; and not to one on which it is small, under 2 cells, since most objects of its size would
  lie between the anchors there, unless no finer level sees it. A level to which no object falls gets anchors of 2 to
  2.8 cells: the book's are larger than what the finest level sees, and would tempt training to give it objects all the
  same.

K-means under IoU is from Redmon and Farhadi, 2017, "YOLO9000", section 2 (there for free shapes, without a place).
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
_STARTS = 16
_ITERATIONS = 40
_PRECISION = 1e-4  # of the mean IoU: less gained than this in a step, and k-means has settled
_DECIMALS = 4
_LEAST_CELLS = 2.0
_START_CELLS = (2.0, 2.8)
_FEW = 10
# A size below is a pixel or two of any input, and its anchors would match nothing.
_MIN_SIZE, _MAX_SIZE, _MAX_RATIO = 0.01, 2.0, 20.0


@dataclass(frozen=True)
class _Shapes:
    """The objects as one level sees them.

    Attributes:
        size, ratio: logarithms of what ``multibox_prior`` takes for the object's own shape, float32 [N].
        offered: whether the level may take the object, bool [N].
    """

    size: FloatArray
    ratio: FloatArray
    offered: npt.NDArray[np.bool_]


class _Score(NamedTuple):
    """Mean best IoU of the objects, and the share that has a match."""

    iou: float
    matched: float


def fit_anchors(boxes_xyxy: npt.ArrayLike, levels: Sequence[Level], seed: int = 0) -> tuple[Level, ...]:
    """Give ``levels`` the sizes and ratios that fit boxes [N, 4] best, as many as they have.

    Follows from the arguments alone. The last level, a single cell, keeps what it has if no object falls to it.

    Args:
        boxes_xyxy: in 0–1 of the input, see :func:`edge_ssd.data.anchor_fitting.match.network_boxes`.
        levels: from fine to coarse. Their maps and the numbers of sizes and ratios count, the values only as a start.
        seed: of the starts that k-means tries, and of the objects taken where there are very many.

    Raises DataError without a box.
    """
    boxes = xyxy_to_cxcywh(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
    if not len(boxes):
        raise DataError("anchors cannot be fitted: there is no box")
    rng = np.random.default_rng(seed)
    if len(boxes) > _MAX_OBJECTS:
        boxes = boxes[np.sort(rng.choice(len(boxes), _MAX_OBJECTS, replace=False))]
    shapes = _shapes(boxes, levels)
    best = _in_view(levels)
    best_score = _score(_iou(boxes, best, shapes))
    for start in (best, *(_random_start(best, shapes, rng) for _ in range(_STARTS))):
        current, previous = start, 0.0
        for _ in range(_ITERATIONS):
            iou = _iou(boxes, current, shapes)
            score = _score(iou)
            # Better on the whole, and no object more without a match.
            if score.iou > best_score.iou and score.matched >= best_score.matched:
                best, best_score = current, score
            if score.iou < previous + _PRECISION:
                break
            current, previous = _update(iou, current, shapes), score.iou
    return best


def _in_view(levels: Sequence[Level]) -> tuple[Level, ...]:
    """``levels`` with sizes that they see whole, as many as they have, between the two of ``_START_CELLS``."""
    started = []
    for level in levels[:-1]:
        cells = (
            np.geomspace(*_START_CELLS, len(level.sizes)) if len(level.sizes) > 1 else [np.sqrt(np.prod(_START_CELLS))]
        )
        started.append(_level(level, [float(count) / level.height for count in cells], level.ratios))
    return *started, levels[-1]


def _iou(boxes: FloatArray, levels: Sequence[Level], shapes: Sequence[_Shapes]) -> list[FloatArray]:
    """For each level, float32 [N, anchors a cell]; −1 where the object is not offered to the level."""
    return [
        np.where(shape.offered[:, None], shape_iou(boxes, level, anchor_shapes(level)), np.float32(-1))
        for level, shape in zip(levels, shapes, strict=True)
    ]


def _score(iou: Sequence[FloatArray]) -> _Score:
    best = np.max([level.max(axis=1) for level in iou], axis=0)
    return _Score(float(best.mean()), float((best >= MATCH_IOU).mean()))


def _update(iou: Sequence[FloatArray], levels: Sequence[Level], shapes: Sequence[_Shapes]) -> tuple[Level, ...]:
    """One step of k-means: every object takes its best anchor, then sizes and ratios move to their objects' mean."""
    chosen = np.concatenate(iou, axis=1).argmax(axis=1)
    updated: list[Level] = []
    first = 0
    for level, shape in zip(levels, shapes, strict=True):
        own = chosen - first
        first += level.anchors_per_cell
        # Anchors of a cell: every size with the first ratio, then the first size with the other ratios.
        count = len(level.sizes)
        size_of = np.where(own < count, own, 0)
        ratio_of = np.where(own < count, 0, own - count + 1)
        inside = (own >= 0) & (own < level.anchors_per_cell)
        sizes = [_mean(shape.size[inside & (size_of == i)], value) for i, value in enumerate(level.sizes)]
        ratios = [_mean(shape.ratio[inside & (ratio_of == i)], value) for i, value in enumerate(level.ratios)]
        updated.append(_level(level, sizes, ratios))
    return tuple(updated)


def _shapes(boxes_cxcywh: FloatArray, levels: Sequence[Level]) -> list[_Shapes]:
    shapes = []
    seen = np.zeros(len(boxes_cxcywh), np.bool_)  # by a finer level
    for index, (level, sees) in enumerate(zip(levels, within_receptive_field(boxes_cxcywh, levels).T, strict=True)):
        # multibox_prior: width = size·√ratio·rows/columns, height = size/√ratio.
        width = np.log(np.maximum(boxes_cxcywh[:, 2] * np.float32(level.width / level.height), np.float32(1e-6)))
        height = np.log(np.maximum(boxes_cxcywh[:, 3], np.float32(1e-6)))
        size = (width + height) / 2
        if index + 1 == len(levels):  # the whole picture in one cell
            offered = np.exp(size) >= level.sizes[0]
        else:
            small = np.exp(size) * level.height < _LEAST_CELLS
            offered = sees & ~(small & seen)
            seen |= sees
        shapes.append(_Shapes(size, width - height, offered))
    return shapes


def _random_start(levels: Sequence[Level], shapes: Sequence[_Shapes], rng: np.random.Generator) -> tuple[Level, ...]:
    """Sizes and ratios of random objects, of those that a level may take."""
    started = []
    for level, shape in zip(levels, shapes, strict=True):
        able = np.flatnonzero(shape.offered)
        if len(able) >= max(_FEW, len(level.sizes), len(level.ratios)):
            sizes = np.sort(np.exp(shape.size[rng.choice(able, len(level.sizes), replace=False)])).tolist()
            ratios = np.exp(shape.ratio[rng.choice(able, len(level.ratios), replace=False)]).tolist()
            level = _level(level, sizes, ratios)
        started.append(level)
    return tuple(started)


def _mean(logarithms: FloatArray, otherwise: float) -> float:
    return float(np.exp(logarithms.mean(dtype=np.float64))) if len(logarithms) else otherwise


def _level(level: Level, sizes: Sequence[float], ratios: Sequence[float]) -> Level:
    return replace(
        level,
        sizes=tuple(round(min(max(size, _MIN_SIZE), _MAX_SIZE), _DECIMALS) for size in sizes),
        ratios=tuple(round(min(max(ratio, 1 / _MAX_RATIO), _MAX_RATIO), _DECIMALS) for ratio in ratios),
    )
