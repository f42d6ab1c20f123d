"""Random crop windows, and the transformation of boxes into them.

Windows are float32 [B, 4], xyxy in 0–1 of the image; coordinates outside 0–1 lie outside the image. Labels are float32
[B, M, 5], rows (class id, xyxy in 0–1), −1 for padding. All shapes are fixed and there are no loops, so that XLA can
compile it.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from edge_ssd.training.box_ops import box_area, box_iou, center_inside

__all__ = [
    "MIN_VISIBLE",
    "compose_windows",
    "expand_windows",
    "iou_crop_windows",
    "select_windows",
    "split_boxes",
    "stretched_windows",
    "transform_boxes",
    "zoom_windows",
]

MIN_VISIBLE = 0.4
"""Minimum visible fraction of an object's area after an augmentation that cuts it; with less its label is dropped."""

# Liu et al., 2016: minimum IoU of some object and the window, drawn for each image; 0 accepts any window.
_MIN_IOUS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
_TRIALS = 50
_SIDES = (0.3, 1.0)
_MAX_ASPECT = 2.0
_FULL_IMAGE = (0.0, 0.0, 1.0, 1.0)


def zoom_windows(seed: tf.Tensor, count: int, factor: float) -> tf.Tensor:
    """Return ``count`` random windows, xyxy in 0–1, of about 1/``factor`` to ``factor`` times the image's size."""
    seeds = tf.random.split(seed, 3)
    side = tf.exp(tf.random.stateless_uniform((count, 1), seeds[0], -1.0, 1.0) * tf.math.log(float(factor)))
    return _stretched(seeds, count, side)


def stretched_windows(seed: tf.Tensor, count: int, min_side: float, max_side: tf.Tensor) -> tf.Tensor:
    """Return ``count`` random windows, xyxy in 0–1, of ``min_side`` to ``max_side`` [count, 1] times the image's size.

    Those of :func:`zoom_windows` have equal limits.
    """
    seeds = tf.random.split(seed, 3)
    share = tf.random.stateless_uniform((count, 1), seeds[0])
    return _stretched(seeds, count, min_side * (max_side / min_side) ** share)


def _stretched(seeds: tf.Tensor, count: int, side: tf.Tensor) -> tf.Tensor:
    """Return windows of the sides [count, 1], stretched by up to a tenth, at random places."""
    stretch = tf.exp(tf.random.stateless_uniform((count, 1), seeds[1], -0.1, 0.1))
    extent = tf.concat([side * stretch, side / stretch], axis=1)  # [B, 2] width, height of the window
    corner = tf.random.stateless_uniform((count, 2), seeds[2]) * (1 - extent)
    return tf.concat([corner, corner + extent], axis=1)


def expand_windows(seed: tf.Tensor, count: int, factor: float) -> tf.Tensor:
    """Return ``count`` windows, xyxy in 0–1: half contain the image and are up to ``factor`` times as wide and high."""
    seeds = tf.random.split(seed, 3)
    side = tf.random.stateless_uniform((count, 1), seeds[0], 1.0, factor)
    side = tf.where(tf.random.stateless_uniform((count, 1), seeds[1]) < 0.5, side, 1.0)
    corner = tf.random.stateless_uniform((count, 2), seeds[2]) * (1 - side)
    return tf.concat([corner, corner + side], axis=1)


def iou_crop_windows(seed: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return random crops [B, 4], xyxy in 0–1, that contain an object's center and have a random minimum IoU with it.

    ``labels`` are [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding. One image in seven keeps the full image, as
    does one for which 50 random windows are unsuitable.
    """
    count = tf.shape(labels)[0]
    seeds = tf.random.split(seed, 4)
    side = tf.random.stateless_uniform((count, _TRIALS, 2), seeds[0], *_SIDES)
    corner = tf.random.stateless_uniform((count, _TRIALS, 2), seeds[1]) * (1 - side)
    choice = tf.random.stateless_uniform((count,), seeds[2], 0, len(_MIN_IOUS), tf.int32)
    keep_full = tf.random.stateless_uniform((count,), seeds[3]) < 1 / (len(_MIN_IOUS) + 1)
    windows = select_windows(tf.concat([corner, corner + side], axis=-1), labels, tf.gather(_MIN_IOUS, choice))
    return tf.where(keep_full[:, None], _FULL_IMAGE, windows)


def select_windows(trials: tf.Tensor, labels: tf.Tensor, min_iou: tf.Tensor) -> tf.Tensor:
    """Return the first suitable window of each image's ``trials`` [B, T, 4], xyxy in 0–1; the full image if none is.

    A window is suitable if its aspect ratio is at most 2:1 and it contains the center of an object with an IoU of at
    least ``min_iou`` [B].
    """
    sides = trials[..., 2:] - trials[..., :2]
    boxes, windows = labels[:, None, :, 1:], trials[:, :, None]  # [B, 1, M, 4], [B, T, 1, 4]
    contained = center_inside(boxes, windows) & (labels[:, None, :, 0] >= 0)  # [B, T, M]
    iou = tf.reduce_max(tf.where(contained, box_iou(windows, boxes), -1.0), axis=2)
    aspect_ok = tf.reduce_max(sides, axis=2) <= _MAX_ASPECT * tf.reduce_min(sides, axis=2)
    suitable = (iou >= min_iou[:, None]) & aspect_ok
    first = tf.argmax(tf.cast(suitable, tf.int32), axis=1)
    selected = tf.gather(trials, first, batch_dims=1)
    return tf.where(tf.reduce_any(suitable, axis=1)[:, None], selected, _FULL_IMAGE)


def compose_windows(outer: tf.Tensor, inner: tf.Tensor) -> tf.Tensor:
    """Return the windows ``inner``, xyxy in 0–1 of the windows ``outer``, as xyxy in 0–1 of the image; all [B, 4]."""
    corner, extent = outer[:, :2], outer[:, 2:] - outer[:, :2]
    return tf.tile(corner, (1, 2)) + inner * tf.tile(extent, (1, 2))


def transform_boxes(
    windows: tf.Tensor, labels: tf.Tensor, *, min_visible: float = 0.0, require_center: bool = False
) -> tf.Tensor:
    """Return ``labels`` [B, M, 5] relative to ``windows`` [B, 4], clipped to them; rejected objects become padding, −1.

    The arguments are those of :func:`split_boxes`.
    """
    return split_boxes(windows, labels, min_visible=min_visible, require_center=require_center)[0]


def split_boxes(
    windows: tf.Tensor,
    labels: tf.Tensor,
    *,
    region: Any = _FULL_IMAGE,
    min_visible: float = 0.0,
    require_center: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the labels of the objects that are kept, relative to ``windows`` [B, 4], and those of the rejected ones.

    Both are [B, M, 5], clipped, with −1 for the others. Of the rejected objects only those are returned of which
    something is visible.

    Args:
        region: the visible part of the windows, xyxy in 0–1 of them.
        min_visible: minimum fraction of an object's area inside the window; at least some area must be.
        require_center: reject objects whose center is outside the window.
    """
    corner, extent = windows[:, None, :2], (windows[:, 2:] - windows[:, :2])[:, None]
    boxes = (labels[..., 1:] - tf.tile(corner, (1, 1, 2))) / tf.tile(extent, (1, 1, 2))
    region = tf.convert_to_tensor(region, tf.float32)
    clipped = tf.clip_by_value(boxes, tf.tile(region[:2], (2,)), tf.tile(region[2:], (2,)))
    visible = box_area(clipped)
    seen = (labels[..., 0] >= 0) & (visible > 0)
    kept = seen & (visible >= min_visible * box_area(boxes))
    if require_center:
        kept &= center_inside(labels[..., 1:], windows[:, None])
    moved = tf.concat([labels[..., :1], clipped], axis=-1)
    return tf.where(kept[..., None], moved, -1.0), tf.where((seen & ~kept)[..., None], moved, -1.0)
