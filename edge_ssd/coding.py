"""Box coding: boxes as four offsets from an anchor.

    x, y:  (center − anchor center) / anchor size × 10
    w, h:  log(size / anchor size) × 5

The factors are the inverse of SSD's variances 0.1 and 0.2 (Liu et al., 2016; d2l, "Labeling Classes and Offsets").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, cxcywh_to_xyxy, xyxy_to_cxcywh
from edge_ssd.errors import NetworkError

__all__ = ["BoxCoding", "offset_boxes", "offset_inverse"]


_MAX_SCALE = 2.0**53  # an integer of a file may have thousands of digits, too many for a float


@dataclass(frozen=True)
class BoxCoding:
    """Factors that multiply the offsets of a box's center (xy) and of its log size (wh); the defaults are SSD's."""

    xy_scale: float = 10.0
    wh_scale: float = 5.0

    def __post_init__(self) -> None:
        for name, value in (("xy_scale", self.xy_scale), ("wh_scale", self.wh_scale)):
            if not 0 < value < _MAX_SCALE:
                raise NetworkError(f"box coding: {name} must be a positive number, got {str(value)[:80]}")


# Keeps the logarithm of an empty box finite; the book's value, so that targets agree.
_EPSILON = np.float32(1e-6)


def offset_boxes(anchors_xyxy: npt.ArrayLike, boxes_xyxy: npt.ArrayLike, coding: BoxCoding = BoxCoding()) -> FloatArray:
    """Encode boxes [..., 4] as offsets (x, y, w, h), float32 [..., 4], from anchors [..., 4] in the same units."""
    anchors, boxes = xyxy_to_cxcywh(anchors_xyxy), xyxy_to_cxcywh(boxes_xyxy)
    xy = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:] * np.float32(coding.xy_scale)
    wh = np.log(_EPSILON + boxes[..., 2:] / anchors[..., 2:]) * np.float32(coding.wh_scale)
    return np.concatenate([xy, wh], axis=-1)


def offset_inverse(anchors_xyxy: npt.ArrayLike, offsets: npt.ArrayLike, coding: BoxCoding = BoxCoding()) -> FloatArray:
    """Decode offsets (x, y, w, h) [..., 4] from anchors [..., 4] into xyxy boxes float32 [..., 4] in the same units."""
    anchors, codes = xyxy_to_cxcywh(anchors_xyxy), np.asarray(offsets, np.float32)
    xy = codes[..., :2] / np.float32(coding.xy_scale) * anchors[..., 2:] + anchors[..., :2]
    wh = np.exp(codes[..., 2:] / np.float32(coding.wh_scale)) * anchors[..., 2:]
    return cxcywh_to_xyxy(np.concatenate([xy, wh], axis=-1))
