"""A histogram of box sizes against a network's anchors, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, xyxy_to_cxcywh
from edge_ssd.data.anchor_fitting.match import MATCH_IOU, anchor_shapes, match_anchors, shape_iou
from edge_ssd.drawing import font, printable
from edge_ssd.network import Level

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["size_histogram"]

_WIDTH, _HEIGHT = 900, 520
_LEFT, _RIGHT, _TOP, _PLOT_HEIGHT = 70, 30, 70, 270
_ROW = 22
_SMALLEST, _BINS = 0.01, 40  # on a logarithmic axis from one hundredth of the input to all of it
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
# Pillow's own font, in which the texts are, has no ×, ≥ or √.
_INK, _PALE, _GRID = (40, 40, 40), (120, 120, 120), (225, 225, 225)
_MATCHED, _UNMATCHED = (66, 133, 190), (230, 120, 30)


def size_histogram(boxes_xyxy: npt.ArrayLike, levels: Sequence[Level], title: str) -> Image.Image:
    """How many boxes are of which size, those without a matching anchor in another colour; below, the anchors' sizes.

    Args:
        boxes_xyxy: [N, 4] in 0–1 of the network's input. A box's size is the square root of its area.
        levels: whose anchors are shown.
        title: what the boxes are of.
    """
    from PIL import Image, ImageDraw

    boxes = xyxy_to_cxcywh(np.asarray(boxes_xyxy, np.float32).reshape(-1, 4))
    size = np.sqrt(boxes[:, 2] * boxes[:, 3])
    best = [shape_iou(boxes, level, anchor_shapes(level)).max(axis=1, initial=0) for level in levels]
    matched = np.max(best, axis=0) >= MATCH_IOU
    bins = np.clip((_position(size) * _BINS).astype(int), 0, _BINS - 1)
    counts = np.stack([np.bincount(bins[chosen], minlength=_BINS) for chosen in (matched, ~matched)])
    highest = max(int(counts.sum(axis=0).max()), 1)

    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    bottom = _TOP + _PLOT_HEIGHT
    step = _nice_step(highest)
    for value in range(0, highest + 1, step):
        y = bottom - _PLOT_HEIGHT * value / highest
        draw.line((_LEFT, y, _WIDTH - _RIGHT, y), fill=_GRID)
        draw.text((_LEFT - 8, y), str(value), fill=_PALE, font=font(12), anchor="rm")
    for share in _TICKS:
        x = _x(share)
        draw.line((x, _TOP, x, bottom + 5), fill=_GRID)
        draw.text((x, bottom + 8), f"{share:.0%}", fill=_PALE, font=font(12), anchor="mt")
    for index, (with_anchor, without) in enumerate(counts.T.tolist()):
        left, right = (_LEFT + (_WIDTH - _RIGHT - _LEFT) * (index + edge) / _BINS for edge in (0.06, 0.94))
        split, top = (bottom - _PLOT_HEIGHT * value / highest for value in (with_anchor, with_anchor + without))
        if with_anchor:
            draw.rectangle((left, split, right, bottom), fill=_MATCHED)
        if without:
            draw.rectangle((left, top, right, split), fill=_UNMATCHED)
    draw.line((_LEFT, bottom, _WIDTH - _RIGHT, bottom), fill=_INK)
    draw.text((_LEFT, 14), printable(title), fill=_INK, font=font(18))
    _legend(draw, int(matched.sum()), int((~matched).sum()))
    draw.text(
        (_LEFT, bottom + 28),
        "size of a box: square root of its area, in shares of the network's input",
        fill=_INK,
        font=font(13),
    )
    match = match_anchors(boxes_xyxy, levels)
    draw.text(
        (_LEFT, bottom + 52), "anchors, and the share of boxes that match one of this level:", fill=_INK, font=font(13)
    )
    for row, (level, share) in enumerate(zip(levels, match.matched_by_level, strict=True)):
        y = bottom + 82 + row * (_HEIGHT - bottom - 90) / len(levels)
        draw.text((_LEFT - 8, y), f"{level.height} x {level.width}", fill=_INK, font=font(12), anchor="rm")
        draw.line((_LEFT + 45, y, _WIDTH - _RIGHT, y), fill=_GRID)
        for width, height in anchor_shapes(level).tolist():
            x = _x(math.sqrt(width * height))
            draw.line((x, y - 5, x, y + 5), fill=_MATCHED, width=3)
        draw.text((_LEFT + 6, y), f"{share:.0%}" if match.objects else "", fill=_PALE, font=font(12), anchor="lm")
    return image


def _legend(draw: object, matched: int, unmatched: int) -> None:
    from PIL import ImageDraw

    assert isinstance(draw, ImageDraw.ImageDraw)
    x = float(_LEFT)
    total = max(matched + unmatched, 1)
    for colour, text in (
        (_MATCHED, f"{matched} ({matched / total:.0%}) match an anchor (IoU {MATCH_IOU} or more)"),
        (_UNMATCHED, f"{unmatched} do not"),
    ):
        draw.rectangle((x, 45, x + 12, 57), fill=colour)
        draw.text((x + 18, 51), text, fill=_INK, font=font(13), anchor="lm")
        x += 18 + font(13).getlength(text) + 24


def _position(size: FloatArray) -> npt.NDArray[np.float64]:
    """0–1 along the logarithmic axis."""
    position: npt.NDArray[np.float64] = np.log(np.maximum(size, _SMALLEST) / _SMALLEST) / -math.log(_SMALLEST)
    return position


def _x(share: float) -> float:
    along = math.log(min(max(share, _SMALLEST), 1) / _SMALLEST) / -math.log(_SMALLEST)
    return _LEFT + (_WIDTH - _RIGHT - _LEFT) * along


def _nice_step(highest: int) -> int:
    """1, 2 or 5 times a power of ten, so that there are at most six lines."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if highest / (factor * power) <= 6:
                return factor * power
        power *= 10
