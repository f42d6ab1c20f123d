"""Anchor boxes: the fixed boxes that a single-shot detector shifts and scales.

Order, shared by training, conversion and the device: level, row, column, then within a cell
(s₁, r₁) (s₂, r₁) … (s₁, r₂) (s₁, r₃) …, as in the book (d2l, section "Anchor Boxes").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_ssd.boxes import FloatArray
from edge_ssd.checks import as_integer, positive_numbers, shortened
from edge_ssd.errors import SettingError

__all__ = ["multibox_prior"]

_MAX_ANCHORS = 2**24  # 268 MB


def multibox_prior(height: int, width: int, sizes: Sequence[float], ratios: Sequence[float]) -> FloatArray:
    """Return the anchors of one ``height`` × ``width`` feature map.

    Args:
        height, width: cells of the feature map.
        sizes: scales, relative to the image's side (0.2 is one fifth).
        ratios: width / height. The first size is combined with every ratio, the first ratio with every size: a cell
            has ``len(sizes) + len(ratios) - 1`` anchors. They are not clipped to the image.

    Returns:
        float32 [height · width · anchors per cell, 4], xyxy in 0–1 of the image.

    Raises:
        SettingError: cells that are not whole numbers from 1, sizes or ratios that are not positive, or more than
            2²⁴ anchors.

    As in the book, an anchor's width is ``s·√r·height/width``: ratio 1 is a square in cells of any feature map.
    """
    height, width = as_integer("height", height, 1), as_integer("width", width, 1)
    sizes, ratios = positive_numbers("sizes", sizes), positive_numbers("ratios", ratios)
    if height * width * (len(sizes) + len(ratios) - 1) > _MAX_ANCHORS:
        cells = f"{shortened(height)} x {shortened(width)} cells"
        raise SettingError(f"{cells} have more than {_MAX_ANCHORS} anchors: choose a smaller height and width")
    pairs = [(size, ratios[0]) for size in sizes] + [(sizes[0], ratio) for ratio in ratios[1:]]
    size, ratio = np.array(pairs, np.float32).T
    half_width = size * np.sqrt(ratio) * np.float32(height) / np.float32(width) / 2
    half_height = size / np.sqrt(ratio) / 2
    center_x = (np.arange(width, dtype=np.float32) + np.float32(0.5)) * np.float32(1 / width)
    center_y = (np.arange(height, dtype=np.float32) + np.float32(0.5)) * np.float32(1 / height)
    centers = np.stack(np.broadcast_arrays(center_x[None, :, None], center_y[:, None, None]), axis=-1)  # [H, W, 1, 2]
    half = np.stack([half_width, half_height], axis=-1)  # [anchors per cell, 2]
    return np.concatenate([centers - half, centers + half], axis=-1).reshape(-1, 4)
