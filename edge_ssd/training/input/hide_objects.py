"""Gray over what remains of objects without a label, so that it is not learned as background."""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.runtime.preprocess import LETTERBOX_GREY

__all__ = ["gray_outside", "hide_objects"]


def hide_objects(images: tf.Tensor, cut: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
    """Return ``images`` [B, H, W, 3] with gray pixels in the boxes of ``cut``, except in those of ``kept``.

    Both are labels [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding. An object that is kept stays as visible as
    it is, with what it shows of a cut one.
    """
    mask = _covers_pixels(cut, images.shape[1:3]) & ~_covers_pixels(kept, images.shape[1:3])
    return tf.where(mask[..., None], float(LETTERBOX_GREY), images)


def gray_outside(images: tf.Tensor, windows: tf.Tensor, visible: tf.Tensor) -> tf.Tensor:
    """Return ``images`` [B, H, W, 3], which show ``windows`` [B, 4], with gray pixels outside ``visible`` [B, 4].

    Both are xyxy in the same units.
    """
    extent = windows[:, 2:] - windows[:, :2]
    start, end = (visible[:, :2] - windows[:, :2]) / extent, (visible[:, 2:] - windows[:, :2]) / extent
    inside = []
    for axis, size in enumerate((images.shape[2], images.shape[1])):
        center = (tf.range(size, dtype=tf.float32) + 0.5) / size
        inside.append((center > start[:, axis, None]) & (center < end[:, axis, None]))
    columns, rows = inside
    return tf.where((rows[:, :, None] & columns[:, None])[..., None], images, float(LETTERBOX_GREY))


def _covers_pixels(labels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Return the mask [B, H, W] of the pixels that a box of ``labels`` [B, M, 5] touches; ``size`` is (H, W)."""
    valid = labels[..., 0] >= 0
    rows = _touched(labels[..., 2], labels[..., 4], size[0]) & valid[..., None]  # [B, M, H]
    columns = _touched(labels[..., 1], labels[..., 3], size[1])  # [B, M, W]
    touching = tf.linalg.matmul(tf.cast(rows, tf.float32), tf.cast(columns, tf.float32), transpose_a=True)
    return touching > 0


def _touched(start: tf.Tensor, end: tf.Tensor, size: int) -> tf.Tensor:
    """Return the mask [B, M, S] of the S = ``size`` pixels that intervals [B, M] in 0–1 touch."""
    pixel = tf.range(size, dtype=tf.float32)
    return (pixel + 1 > start[..., None] * size) & (pixel < end[..., None] * size)
