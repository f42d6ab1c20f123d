"""Augmentation of a whole batch inside the TensorFlow graph.

Pictures are uint8 [B, H, W, 3] in and float32 [B, H, W, 3] in 0–255 out; labels are float32 [B, M, 5], rows
(class id, xyxy in 0–1), −1 for padding. Random numbers come from an explicit ``seed`` (int32 [2]), so that
the same epoch and step give the same batch, also after a resume.
"""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.training.input.crop_and_resize import crop_and_resize
from edge_ssd.training.input.crop_windows import (
    combine,
    expand_windows,
    iou_crop_windows,
    transform_boxes,
    zoom_windows,
)

__all__ = ["adjust_color", "augment", "flip", "move"]

# A box that keeps less of its area than this in the zoomed window is no example of its class any more.
_MIN_VISIBLE = 0.4


def augment(
    pictures: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    horizontal: bool,
    vertical: bool,
    zoom_factor: float,
    color: float,
    crop: bool = False,
    expand_factor: float = 1.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Flip, move and recolour at random; each is left out where its argument says so."""
    seeds = tf.random.split(seed, 4)
    pictures = tf.cast(pictures, tf.float32)
    if horizontal:
        pictures, labels = flip(pictures, labels, seeds[0], axis=2)
    if vertical:
        pictures, labels = flip(pictures, labels, seeds[1], axis=1)
    if expand_factor > 1 or crop or zoom_factor > 1:
        pictures, labels = move(
            pictures, labels, seeds[2], zoom_factor=zoom_factor, crop=crop, expand_factor=expand_factor
        )
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


def move(
    pictures: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    zoom_factor: float = 1.0,
    crop: bool = False,
    expand_factor: float = 1.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """SSD's zoom-out, then its crop, then the zoom: three windows, one within the other, but one resampling.

    What lies outside a picture is grey. Objects of which too little is left become padding: in a crop those that
    lost their centre, in a zoom those that lost most of their area.
    """
    count = tf.shape(pictures)[0]
    windows = tf.tile(tf.constant([[0.0, 0.0, 1.0, 1.0]]), (count, 1))
    if expand_factor > 1:
        inner = expand_windows(tf.random.fold_in(seed, 1), count, expand_factor)
        windows, labels = combine(windows, inner), transform_boxes(inner, labels)
    if crop:
        inner = iou_crop_windows(tf.random.fold_in(seed, 2), labels)
        windows, labels = combine(windows, inner), transform_boxes(inner, labels, centre_inside=True)
    if zoom_factor > 1:
        inner = zoom_windows(seed, count, zoom_factor)
        windows, labels = combine(windows, inner), transform_boxes(inner, labels, least_visible=_MIN_VISIBLE)
    return crop_and_resize(pictures, windows), labels


def adjust_color(pictures: tf.Tensor, seed: tf.Tensor, strength: float) -> tf.Tensor:
    """Change brightness, contrast and saturation of each picture, each by a factor of 1 ± ``strength``."""
    factors = tf.random.stateless_uniform((3, tf.shape(pictures)[0], 1, 1, 1), seed, 1 - strength, 1 + strength)
    brightness, contrast, saturation = tf.unstack(factors)
    grey = tf.reduce_mean(pictures, axis=3, keepdims=True)
    mean = tf.reduce_mean(grey, axis=(1, 2), keepdims=True)
    pictures = grey + (pictures - grey) * saturation
    pictures = (mean + (pictures - mean) * contrast) * brightness
    return tf.clip_by_value(pictures, 0.0, 255.0)
