"""Augmentation of a whole batch inside the TensorFlow graph.

Pictures are uint8 [B, H, W, 3] in and float32 [B, H, W, 3] in 0–255 out; labels are float32 [B, M, 5], rows
(class id, xyxy in 0–1), −1 for padding. Random numbers come from an explicit ``seed`` (int32 [2]), so that
the same epoch and step give the same batch, also after a resume.
"""

from __future__ import annotations

import tensorflow as tf

__all__ = ["adjust_color", "augment", "flip", "zoom"]

# A box that keeps less of its area than this in the new window is no example of its class any more.
_MIN_VISIBLE = 0.4
_GREY = 114.0


def augment(
    pictures: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    horizontal: bool,
    vertical: bool,
    zoom_factor: float,
    color: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Flip, zoom and recolour at random; each is left out where its argument says so."""
    seeds = tf.random.split(seed, 4)
    pictures = tf.cast(pictures, tf.float32)
    if horizontal:
        pictures, labels = flip(pictures, labels, seeds[0], axis=2)
    if vertical:
        pictures, labels = flip(pictures, labels, seeds[1], axis=1)
    if zoom_factor > 1:
        pictures, labels = zoom(pictures, labels, seeds[2], zoom_factor)
    if color > 0:
        pictures = adjust_color(pictures, seeds[3], color)
    return pictures, labels


def flip(pictures: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirror half of the pictures; ``axis`` 2 is left–right, 1 is top–bottom."""
    chosen = tf.random.stateless_uniform((tf.shape(pictures)[0],), seed) < 0.5
    pictures = tf.where(chosen[:, None, None, None], tf.reverse(pictures, [axis]), pictures)
    class_id, xmin, ymin, xmax, ymax = tf.split(labels, 5, axis=-1)
    if axis == 2:
        mirrored = tf.concat([class_id, 1 - xmax, ymin, 1 - xmin, ymax], axis=-1)
    else:
        mirrored = tf.concat([class_id, xmin, 1 - ymax, xmax, 1 - ymin], axis=-1)
    return pictures, tf.where(chosen[:, None, None] & (class_id >= 0), mirrored, labels)


def zoom(pictures: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, factor: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Look at each picture through a random window from 1/factor to factor times its size, filled up with grey.

    Objects of which too little is left in the window become padding.
    """
    count, size = tf.shape(pictures)[0], tf.shape(pictures)[1:3]
    seeds = tf.random.split(seed, 3)
    side = tf.exp(tf.random.stateless_uniform((count, 1), seeds[0], -1.0, 1.0) * tf.math.log(factor))
    stretch = tf.exp(tf.random.stateless_uniform((count, 1), seeds[1], -0.1, 0.1))
    extent = tf.concat([side * stretch, side / stretch], axis=1)  # [B, 2] width, height of the window
    corner = tf.random.stateless_uniform((count, 2), seeds[2]) * (1 - extent)
    window = tf.concat([corner, corner + extent], axis=1)  # xyxy
    # crop_and_resize puts 1 on the centre of the last pixel and takes y before x.
    scale = tf.cast(size, tf.float32)[::-1]
    span = tf.concat([window[:, :2] * scale / (scale - 1), (window[:, 2:] * scale - 1) / (scale - 1)], axis=1)
    pictures = tf.image.crop_and_resize(
        pictures, tf.gather(span, [1, 0, 3, 2], axis=1), tf.range(count), size, extrapolation_value=_GREY
    )
    boxes = (labels[..., 1:] - tf.tile(corner, (1, 2))[:, None]) / tf.tile(extent, (1, 2))[:, None]
    clipped = tf.clip_by_value(boxes, 0.0, 1.0)
    kept = (labels[..., 0] >= 0) & (_area(clipped) >= _MIN_VISIBLE * _area(boxes)) & (_area(clipped) > 0)
    return pictures, tf.where(kept[..., None], tf.concat([labels[..., :1], clipped], axis=-1), -1.0)


def adjust_color(pictures: tf.Tensor, seed: tf.Tensor, strength: float) -> tf.Tensor:
    """Change brightness, contrast and saturation of each picture, each by a factor of 1 ± ``strength``."""
    factors = tf.random.stateless_uniform((3, tf.shape(pictures)[0], 1, 1, 1), seed, 1 - strength, 1 + strength)
    brightness, contrast, saturation = tf.unstack(factors)
    grey = tf.reduce_mean(pictures, axis=3, keepdims=True)
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    pictures = grey + (pictures - grey) * saturation
    pictures = (mean + (pictures - mean) * contrast) * brightness
    return tf.clip_by_value(pictures, 0.0, 255.0)


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(boxes[..., 2] - boxes[..., 0]) * tf.nn.relu(boxes[..., 3] - boxes[..., 1])
