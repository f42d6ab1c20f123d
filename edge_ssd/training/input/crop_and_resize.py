"""Look at each picture of a batch through a window of its own, in the graph.

A window is xyxy in 0–1 of its picture; parts of it that lie outside show grey. The filter is that of
:func:`edge_ssd.runtime.preprocess.preprocess` (Pillow's antialiased bilinear one), so a picture that is shrunk here
looks as one that the device shrinks. It is separable: two matrices of weights for each picture, two products.
"""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.runtime.preprocess import LETTERBOX_GREY

__all__ = ["crop_and_resize", "resampling_weights"]


def crop_and_resize(pictures: tf.Tensor, windows_xyxy: tf.Tensor) -> tf.Tensor:
    """What is seen through ``windows_xyxy`` [B, 4] of ``pictures`` [B, H, W, 3], enlarged or shrunk to [B, H, W, 3].

    All of a picture, (0, 0, 1, 1), is the picture itself, to the last bit.
    """
    height, width = pictures.shape[1], pictures.shape[2]
    rows = resampling_weights(windows_xyxy[:, 1], windows_xyxy[:, 3], height)  # [B, H, H]
    columns = resampling_weights(windows_xyxy[:, 0], windows_xyxy[:, 2], width)  # [B, W, W]
    # Grey counts as nothing while weights are summed, so what lies outside is grey without further ado.
    content = pictures - float(LETTERBOX_GREY)
    seen = tf.linalg.matmul(rows, tf.reshape(content, (-1, height, width * 3)))
    seen = tf.reshape(seen, (-1, height, width, 3))
    return tf.einsum("bxw,bhwc->bhxc", columns, seen) + float(LETTERBOX_GREY)


def resampling_weights(start: tf.Tensor, end: tf.Tensor, size: int) -> tf.Tensor:
    """How much each of ``size`` pixels counts in each of the ``size`` pixels seen from ``start`` to ``end``, [B, S, S].

    A row sums to the share of its pixel that shows the picture: 1 inside, 0 outside.
    """
    pixel = tf.range(size, dtype=tf.float32)
    first = (start * size)[:, None]  # [B, 1], in pixels
    step = (end - start)[:, None]  # pixels of the picture for a pixel that is seen
    left = first + pixel * step  # [B, S], its left edge
    # A triangle about its centre, as wide as the pixel is where that is wider than one of the picture's.
    radius = tf.maximum(step, 1.0)[..., None]
    distance = tf.abs(left[..., None] + step[..., None] / 2 - (pixel + 0.5))  # [B, S, S]
    weights = tf.nn.relu(1 - distance / radius)
    inside = tf.minimum(left + step, float(size)) - tf.maximum(left, 0.0)
    coverage = tf.clip_by_value(inside / step, 0.0, 1.0)
    return weights / tf.maximum(tf.reduce_sum(weights, axis=2, keepdims=True), 1e-6) * coverage[..., None]
