"""Box coding: boxes as four offsets from an anchor.

    x, y:  (center − anchor center) / anchor size × 10
    w, h:  log(size / anchor size) × 5

The factors are the inverse of SSD's variances 0.1 and 0.2 (Liu et al., 2016; d2l, "Labeling Classes and Offsets").
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, cxcywh_to_xyxy, to_cxcywh
from edge_ssd.checks import box_array, require_finite, require_type, shortened
from edge_ssd.errors import NetworkError, SettingError

__all__ = ["BoxCoding", "offset_boxes", "offset_inverse"]


_MAX_SCALE = 2.0**53  # an integer of a file may have thousands of digits, too many for a float


@dataclass(frozen=True)
class BoxCoding:
    """Factors that multiply the offsets of a box's center (xy) and of its log size (wh); the defaults are SSD's."""

    xy_scale: float = 10.0
    wh_scale: float = 5.0

    def __post_init__(self) -> None:
        for name, value in (("xy_scale", self.xy_scale), ("wh_scale", self.wh_scale)):
            if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value < _MAX_SCALE:
                raise NetworkError(f"box coding: {name} must be a positive number, got {shortened(value)}")


# Keeps the logarithm of an empty box finite; the book's value, so that targets agree.
_EPSILON = np.float32(1e-6)


def offset_boxes(anchors_xyxy: npt.ArrayLike, boxes_xyxy: npt.ArrayLike, coding: BoxCoding = BoxCoding()) -> FloatArray:
    """Encode boxes [..., 4] as offsets (x, y, w, h), float32 [..., 4], from anchors [..., 4] in the same units.

    Anchors must not be empty, nor boxes inverted: SettingError.
    """
    require_type("coding", coding, BoxCoding)
    anchors, boxes = to_cxcywh("anchors_xyxy", anchors_xyxy), to_cxcywh("boxes_xyxy", boxes_xyxy)
    _require_same_shape(anchors, boxes, "boxes_xyxy")
    _require_sizes("anchors_xyxy", anchors, "positive")
    _require_sizes("boxes_xyxy", boxes, "not negative")
    xy = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:] * np.float32(coding.xy_scale)
    wh = np.log(_EPSILON + boxes[..., 2:] / anchors[..., 2:]) * np.float32(coding.wh_scale)
    return np.concatenate([xy, wh], axis=-1)


def offset_inverse(anchors_xyxy: npt.ArrayLike, offsets: npt.ArrayLike, coding: BoxCoding = BoxCoding()) -> FloatArray:
    """Decode offsets (x, y, w, h) [..., 4] from anchors [..., 4] into xyxy boxes float32 [..., 4] in the same units."""
    require_type("coding", coding, BoxCoding)
    anchors, codes = to_cxcywh("anchors_xyxy", anchors_xyxy), box_array("offsets", offsets)
    _require_same_shape(anchors, codes, "offsets")
    require_finite("offsets", codes)
    xy = codes[..., :2] / np.float32(coding.xy_scale) * anchors[..., 2:] + anchors[..., :2]
    with np.errstate(over="ignore"):  # reported below
        wh = np.exp(codes[..., 2:] / np.float32(coding.wh_scale)) * anchors[..., 2:]
    try:
        return cxcywh_to_xyxy(np.concatenate([xy, wh], axis=-1))
    except SettingError:
        raise SettingError(f"offsets are too large for finite boxes, up to {codes.max()}") from None


def _require_same_shape(anchors: FloatArray, others: FloatArray, name: str) -> None:
    if anchors.shape == others.shape:
        return
    try:
        np.broadcast_shapes(anchors.shape, others.shape)
    except ValueError:
        shapes = f"{list(anchors.shape)} and {list(others.shape)}"
        raise SettingError(f"anchors_xyxy and {name} must have the same shape, got {shapes}") from None


def _require_sizes(name: str, boxes_cxcywh: FloatArray, what: str) -> None:
    """Raise SettingError if a width or height is 0 ("positive") or negative."""
    if not boxes_cxcywh.size:
        return
    minimum = np.minimum.reduce(boxes_cxcywh[..., 2:], axis=None)
    if minimum < 0 or (minimum == 0 and what == "positive"):
        row = np.argwhere(boxes_cxcywh[..., 2:].min(axis=-1) == minimum)[0].tolist()
        size = boxes_cxcywh[(*row, slice(2, None))].tolist()
        raise SettingError(f"{name} must have a width and height that are {what}, got {size} at index {row}")
