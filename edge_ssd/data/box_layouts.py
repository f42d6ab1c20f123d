"""Ways to state a box by four numbers, and conversions between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LAYOUTS", "UNITS", "BoxReading", "Numbers", "from_xyxy", "to_xyxy"]

Numbers = npt.NDArray[np.float64]

LAYOUTS = {
    "xyxy": "xmin, ymin, xmax, ymax",
    "xywh": "xmin, ymin, width, height",
    "cxcywh": "center x, center y, width, height",
    "yxyx": "ymin, xmin, ymax, xmax",
}
"""Value of ``--boxes`` → what the four numbers are."""

UNITS = {"pixels": "pixels", "normalized": "0–1 of the image", "percent": "percent of the image"}
"""Value of ``--box-units`` → its description."""


@dataclass(frozen=True)
class BoxReading:
    """How the four numbers of a box are read: a key of :data:`LAYOUTS` and one of :data:`UNITS`."""

    layout: str
    units: str


def to_xyxy(numbers: Numbers, layout: str) -> Numbers:
    """Return corners [N, 4] of boxes that are stated in a layout; units stay."""
    a, b, c, d = np.asarray(numbers, np.float64).T
    with np.errstate(over="ignore", invalid="ignore"):  # label files hold any number
        corners = {
            "xyxy": (a, b, c, d),
            "xywh": (a, b, a + c, b + d),
            "cxcywh": (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
            "yxyx": (b, a, d, c),
        }
    return np.stack(corners[layout], axis=1)


def from_xyxy(boxes_xyxy: Numbers, layout: str) -> Numbers:
    """Return the numbers [N, 4] that state boxes in a layout: the inverse of :func:`to_xyxy`."""
    xmin, ymin, xmax, ymax = np.asarray(boxes_xyxy, np.float64).T
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = {
            "xyxy": (xmin, ymin, xmax, ymax),
            "xywh": (xmin, ymin, xmax - xmin, ymax - ymin),
            "cxcywh": ((xmin + xmax) / 2, (ymin + ymax) / 2, xmax - xmin, ymax - ymin),
            "yxyx": (ymin, xmin, ymax, xmax),
        }
    return np.stack(numbers[layout], axis=1)
