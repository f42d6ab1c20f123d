"""Crop-and-resize of a batch in the graph, with one window for each image.

A window is xyxy in 0–1 of its image; the parts outside the image are gray. The filter is that of
:mod:`edge_ssd.runtime.resize` without its rounding, halvings by areas and then bilinear interpolation, so that an image
shrunk here looks like one shrunk on the device. The filter is separable: two matrix products for each image.
"""

from __future__ import annotations

import math

import tensorflow as tf

from edge_ssd.runtime.preprocess import LETTERBOX_GREY

__all__ = ["crop_and_resize", "resampling_weights"]


def crop_and_resize(
    images: tf.Tensor, windows_xyxy: tf.Tensor, pixels: tuple[tf.Tensor | None, tf.Tensor | None] = (None, None)
) -> tf.Tensor:
    """Return the windows [B, 4], xyxy in 0–1, of ``images`` [B, H, W, 3], each resized to [H, W, 3]; gray outside.

    The full image, (0, 0, 1, 1), is returned bit for bit. ``pixels`` selects h rows and w columns of the result, int32
    [h] and [w], all for None: then it is [B, h, w, 3].
    """
    height, width = images.shape[1], images.shape[2]
    rows = resampling_weights(windows_xyxy[:, 1], windows_xyxy[:, 3], height, pixels[0])  # [B, h, H]
    columns = resampling_weights(windows_xyxy[:, 0], windows_xyxy[:, 2], width, pixels[1])  # [B, w, W]
    # Gray is subtracted before the weighted sums: pixels outside the image add 0 and become gray.
    content = images - float(LETTERBOX_GREY)
    num_rows = height if pixels[0] is None else tf.size(pixels[0])
    num_columns = width if pixels[1] is None else tf.size(pixels[1])
    resized = tf.linalg.matmul(rows, tf.reshape(content, (-1, height, width * 3)))  # [B, h, W·3]
    # With W before h the second product is one of large matrices too.
    resized = tf.transpose(tf.reshape(resized, (-1, num_rows, width, 3)), (0, 2, 1, 3))
    resized = tf.linalg.matmul(columns, tf.reshape(resized, (-1, width, num_rows * 3)))  # [B, w, h·3]
    resized = tf.transpose(tf.reshape(resized, (-1, num_columns, num_rows, 3)), (0, 2, 1, 3))
    return resized + float(LETTERBOX_GREY)


def resampling_weights(start: tf.Tensor, end: tf.Tensor, size: int, outputs: tf.Tensor | None = None) -> tf.Tensor:
    """Return weights [B, S, S]: S output pixels, from ``start`` to ``end`` [B] in 0–1, by S = ``size`` input pixels.

    A row sums to the fraction of its output pixel that lies inside the image. ``outputs`` [s] selects output pixels:
    then the weights are [B, s, S].
    """
    pixel = tf.range(size, dtype=tf.float32)
    output = pixel if outputs is None else tf.cast(outputs, tf.float32)
    first = (start * size)[:, None]  # [B, 1], in input pixels
    step = (end - start)[:, None]  # input pixels per output pixel
    left = first + output * step  # [B, S], left edge of each output pixel
    # Halved while the halves have at least 7/8 of the target's pixels: then a pixel has the weight of its area, a cell
    # of 2ⁿ pixels, in the interpolation between the cells' centers.
    cell = tf.maximum(2.0 ** tf.floor(tf.math.log(step * 8 / 7) / math.log(2)), 1.0)  # [B, 1], in input pixels
    cell_center = (tf.floor(pixel / cell) + 0.5) * cell  # [B, S]
    distance = tf.abs((left + step / 2)[..., None] - cell_center[:, None])  # [B, S, S]
    weights = tf.nn.relu(1 - distance / cell[..., None])
    inside = tf.minimum(left + step, float(size)) - tf.maximum(left, 0.0)
    coverage = tf.clip_by_value(inside / step, 0.0, 1.0)
    return weights / tf.maximum(tf.reduce_sum(weights, axis=2, keepdims=True), 1e-6) * coverage[..., None]
