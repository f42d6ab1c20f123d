"""Number of label rows in a batch: fixed for a run while images are prepared, in the loss as many as the batch needs.

Labels are float32 [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding.
"""

from __future__ import annotations

import math

import tensorflow as tf

from edge_ssd.boxes import FloatArray

__all__ = ["compact_rows", "mosaic_rows", "pad_rows", "pasted_rows", "without_padding_rows"]

# Each row costs time in the loss, and four images that all have the most objects are rare.
_DEVIATIONS, _MIN_MOSAIC_ROWS = 3, 16
_MAX_PASTED = 8


def mosaic_rows(labels: FloatArray) -> int:
    """Return the number of label rows for mosaics of four of the images with ``labels`` [N, M, 5]; at most 4·M.

    It is the mean number of objects in a mosaic and three of its standard deviations.
    """
    objects = (labels[..., 0] >= 0).sum(axis=1)
    usual = math.ceil(4 * objects.mean() + _DEVIATIONS * 2 * objects.std())
    return min(4 * labels.shape[1], max(usual, _MIN_MOSAIC_ROWS))


def pasted_rows(rows: int) -> int:
    """Return the maximum number of objects that are pasted from an image with ``rows`` label rows."""
    return min(rows, _MAX_PASTED)


def compact_rows(labels: tf.Tensor, rows: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the first ``rows`` objects of ``labels`` [B, M, 5], in their order, and the others [B, M − rows, 5]."""
    is_padding = tf.cast(labels[..., 0] < 0, tf.int32)
    ordered = tf.gather(labels, tf.argsort(is_padding, axis=1, stable=True), batch_dims=1)
    return ordered[:, :rows], ordered[:, rows:]


def pad_rows(labels: tf.Tensor, rows: int) -> tf.Tensor:
    """Return ``labels`` with padding up to ``rows`` rows."""
    return tf.pad(labels, [[0, 0], [0, rows - labels.shape[1]], [0, 0]], constant_values=-1.0)


def without_padding_rows(labels: tf.Tensor) -> tf.Tensor:
    """Return ``labels`` [B, M, 5] with as many rows as the image with the most objects has, at least one.

    The number of rows of a run is that of its most crowded image, and the time of the loss grows with its square.
    """
    objects = tf.reduce_sum(tf.cast(labels[..., 0] >= 0, tf.int32), axis=1)
    return compact_rows(labels, tf.maximum(tf.reduce_max(objects), 1))[0]
