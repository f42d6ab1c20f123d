"""Gray over what remains of objects whose label is dropped, so that it is not learned as background."""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.runtime.preprocess import LETTERBOX_GREY

__all__ = ["covers_pixels", "hide_objects"]


def hide_objects(images: tf.Tensor, cut: tf.Tensor, kept: tf.Tensor) -> tf.Tensor:
    """Return ``images`` [B, H, W, 3] with gray pixels in the boxes of ``cut``, except in those of ``kept``.

    Both are labels [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding. An object that is kept stays as visible as
    it is, with what it shows of a cut one.
    """
    mask = covers_pixels(cut, images.shape[1:3]) & ~covers_pixels(kept, images.shape[1:3])
    return tf.where(mask[..., None], float(LETTERBOX_GREY), images)


def covers_pixels(labels: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
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
