"""Windows through which a picture is looked at: drawn at random, and what becomes of the boxes.

Windows are float32 [B, 4], xyxy in 0–1 of the picture and beyond it where they reach over its edge; labels are
float32 [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding. Everything has a fixed shape and no loop, so that
XLA can compile it.
"""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.training.loss.targets import box_iou

__all__ = ["combine", "expand_windows", "first_suitable", "iou_crop_windows", "transform_boxes", "zoom_windows"]

# Liu et al., 2016: the least overlap that some object has with the window, drawn anew for each picture; 0 takes any.
_LEAST_IOU = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
# Windows that are tried for each picture; where none will do, the picture stays whole.
_TRIALS = 50
_SIDES = (0.3, 1.0)
_ASPECT = 2.0
_WHOLE = (0.0, 0.0, 1.0, 1.0)


def zoom_windows(seed: tf.Tensor, count: int, factor: float) -> tf.Tensor:
    """From 1/``factor`` to ``factor`` times the picture's size, a little stretched, anywhere in or about it."""
    seeds = tf.random.split(seed, 3)
    side = tf.exp(tf.random.stateless_uniform((count, 1), seeds[0], -1.0, 1.0) * tf.math.log(factor))
    stretch = tf.exp(tf.random.stateless_uniform((count, 1), seeds[1], -0.1, 0.1))
    extent = tf.concat([side * stretch, side / stretch], axis=1)  # [B, 2] width, height of the window
    corner = tf.random.stateless_uniform((count, 2), seeds[2]) * (1 - extent)
    return tf.concat([corner, corner + extent], axis=1)


def expand_windows(seed: tf.Tensor, count: int, factor: float) -> tf.Tensor:
    """SSD's zoom-out: half of the windows are up to ``factor`` times as large as the picture, it somewhere in them."""
    seeds = tf.random.split(seed, 3)
    side = tf.random.stateless_uniform((count, 1), seeds[0], 1.0, factor)
    side = tf.where(tf.random.stateless_uniform((count, 1), seeds[1]) < 0.5, side, 1.0)
    corner = tf.random.stateless_uniform((count, 2), seeds[2]) * (1 - side)
    return tf.concat([corner, corner + side], axis=1)


def iou_crop_windows(seed: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """SSD's crop: a window that some object fills to a drawn share, in the terms of IoU, and whose centre it holds.

    One picture in seven stays whole, and so does one in which no trial succeeds.
    """
    count = tf.shape(labels)[0]
    seeds = tf.random.split(seed, 4)
    side = tf.random.stateless_uniform((count, _TRIALS, 2), seeds[0], *_SIDES)
    corner = tf.random.stateless_uniform((count, _TRIALS, 2), seeds[1]) * (1 - side)
    drawn = tf.random.stateless_uniform((count,), seeds[2], 0, len(_LEAST_IOU), tf.int32)
    whole = tf.random.stateless_uniform((count,), seeds[3]) < 1 / (len(_LEAST_IOU) + 1)
    chosen = first_suitable(tf.concat([corner, corner + side], axis=-1), labels, tf.gather(_LEAST_IOU, drawn))
    return tf.where(whole[:, None], _WHOLE, chosen)


def first_suitable(trials: tf.Tensor, labels: tf.Tensor, least_iou: tf.Tensor) -> tf.Tensor:
    """Of each picture's ``trials`` [B, T, 4] the first that will do, [B, 4]; all of the picture where none does.

    A trial will do if its sides are at most 2:1 and some object with its centre in it overlaps it by at least the
    picture's ``least_iou`` [B].
    """
    sides = trials[..., 2:] - trials[..., :2]
    boxes, windows = labels[:, None, :, 1:], trials[:, :, None]  # [B, 1, M, 4], [B, T, 1, 4]
    held = _centre_in(boxes, windows) & (labels[:, None, :, 0] >= 0)  # [B, T, M]
    overlap = tf.reduce_max(tf.where(held, box_iou(windows, boxes), -1.0), axis=2)
    slim = tf.reduce_max(sides, axis=2) <= _ASPECT * tf.reduce_min(sides, axis=2)
    suits = (overlap >= least_iou[:, None]) & slim
    first = tf.argmax(tf.cast(suits, tf.int32), axis=1)  # of equals, the first
    chosen = tf.gather(trials, first, batch_dims=1)
    return tf.where(tf.reduce_any(suits, axis=1)[:, None], chosen, _WHOLE)


def combine(outer: tf.Tensor, inner: tf.Tensor) -> tf.Tensor:
    """The window of ``inner``, which is in terms of ``outer``, in terms of the picture."""
    corner, extent = outer[:, :2], outer[:, 2:] - outer[:, :2]
    return tf.tile(corner, (1, 2)) + inner * tf.tile(extent, (1, 2))


def transform_boxes(
    windows: tf.Tensor, labels: tf.Tensor, *, least_visible: float = 0.0, centre_inside: bool = False
) -> tf.Tensor:
    """``labels`` as seen through ``windows``: moved, clipped, and padding where the object is no example any more.

    Args:
        least_visible: the share of its area that an object must keep.
        centre_inside: an object must keep its centre.
    """
    corner, extent = windows[:, None, :2], (windows[:, 2:] - windows[:, :2])[:, None]
    boxes = (labels[..., 1:] - tf.tile(corner, (1, 1, 2))) / tf.tile(extent, (1, 1, 2))
    clipped = tf.clip_by_value(boxes, 0.0, 1.0)
    kept = (labels[..., 0] >= 0) & (_area(clipped) >= least_visible * _area(boxes)) & (_area(clipped) > 0)
    if centre_inside:
        kept &= _centre_in(labels[..., 1:], windows[:, None])
    return tf.where(kept[..., None], tf.concat([labels[..., :1], clipped], axis=-1), -1.0)


def _centre_in(boxes: tf.Tensor, windows: tf.Tensor) -> tf.Tensor:
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    return tf.reduce_all((centre > windows[..., :2]) & (centre < windows[..., 2:]), axis=-1)


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(boxes[..., 2] - boxes[..., 0]) * tf.nn.relu(boxes[..., 3] - boxes[..., 1])
