"""Augmentation of a batch in the TensorFlow graph.

Images are uint8 [B, H, W, 3] in and float32 [B, H, W, 3] in 0–255 out; labels are float32 [B, M, 5], rows (class id,
xyxy in 0–1), −1 for padding. Random numbers depend only on an explicit ``seed`` (int32 [2]), so that the same epoch and
step give the same batch after a resume.
"""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.training.input.copy_paste import paste_objects
from edge_ssd.training.input.crop_and_resize import crop_and_resize
from edge_ssd.training.input.crop_windows import (
    MIN_VISIBLE,
    compose_windows,
    expand_windows,
    iou_crop_windows,
    split_boxes,
    transform_boxes,
    zoom_windows,
)
from edge_ssd.training.input.hide_objects import gray_outside, hide_objects
from edge_ssd.training.input.label_rows import pad_rows
from edge_ssd.training.input.mosaic import mosaic

__all__ = ["augment", "color_jitter", "expand_crop_zoom", "random_flip"]

# Streams of random numbers beside the four of the seed itself.
_MOSAIC_STREAM, _PASTE_STREAM = 101, 102


def augment(
    images: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    partners: tuple[tf.Tensor, tf.Tensor] | None = None,
    *,
    horizontal: bool,
    vertical: bool,
    zoom_factor: float,
    color: float,
    crop: bool = False,
    expand_factor: float = 1.0,
    hide_cut: bool = False,
    mosaics: bool = False,
    label_rows: int | None = None,
    paste_probability: float = 0.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Combine, flip, crop, resize and change colors at random, as the arguments select.

    Images are uint8 [B, H, W, 3], in the result float32 in 0–255; labels float32 [B, M, 5], rows (class id, xyxy in
    0–1), −1 for padding; the seed int32 [2]. ``horizontal`` and ``vertical`` enable :func:`random_flip`, ``color`` is
    the strength of :func:`color_jitter`, and the others are arguments of :func:`expand_crop_zoom`.

    Args:
        partners: images [B, K, H, W, 3] and labels [B, K, M, 5]: with ``mosaics`` the other three tiles, then with a
            ``paste_probability`` the donor.
        mosaics: make mosaics. They are not cropped or zoomed, since their tiles are.
        label_rows: number of label rows of mosaics, and of other images before objects are pasted, so that all epochs
            of a run have equally many; M for None.
        paste_probability: of :func:`~edge_ssd.training.input.copy_paste.paste_objects`.
    """
    seeds = tf.random.split(seed, 4)
    rows = labels.shape[1] if label_rows is None else label_rows
    if mosaics:
        assert partners is not None
        tiles, tile_labels = (
            tf.concat([own[:, None], other[:, :3]], axis=1)
            for own, other in zip((images, labels), partners, strict=True)
        )
        mosaic_seed = tf.random.fold_in(seed, _MOSAIC_STREAM)
        images, labels = mosaic(tiles, tile_labels, mosaic_seed, rows)
    images = tf.cast(images, tf.float32)
    if horizontal:
        images, labels = random_flip(images, labels, seeds[0], axis=2)
    if vertical:
        images, labels = random_flip(images, labels, seeds[1], axis=1)
    if not mosaics and (expand_factor > 1 or crop or zoom_factor > 1):
        images, labels = expand_crop_zoom(
            images,
            labels,
            seeds[2],
            zoom_factor=zoom_factor,
            crop=crop,
            expand_factor=expand_factor,
            hide_cut=hide_cut,
        )
    labels = pad_rows(labels, rows)
    if paste_probability > 0:
        assert partners is not None
        flip_seed, paste_seed = tf.unstack(tf.random.split(tf.random.fold_in(seed, _PASTE_STREAM), 2))
        donors, donor_labels = tf.cast(partners[0][:, -1], tf.float32), partners[1][:, -1]
        for axis, enabled in ((2, horizontal), (1, vertical)):
            if enabled:
                donor_seed = tf.random.fold_in(flip_seed, axis)
                donors, donor_labels = random_flip(donors, donor_labels, donor_seed, axis)
        images, labels = paste_objects(images, labels, donors, donor_labels, paste_seed, probability=paste_probability)
    if color > 0:
        images = color_jitter(images, seeds[3], color)
    return images, labels


def random_flip(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirror each image and its labels with probability 1/2; ``axis`` 2 is left to right, 1 is top to bottom."""
    selected = tf.random.stateless_uniform((tf.shape(images)[0],), seed) < 0.5
    images = tf.where(selected[:, None, None, None], tf.reverse(images, [axis]), images)
    class_id, xmin, ymin, xmax, ymax = tf.split(labels, 5, axis=-1)
    if axis == 2:
        mirrored = tf.concat([class_id, 1 - xmax, ymin, 1 - xmin, ymax], axis=-1)
    else:
        mirrored = tf.concat([class_id, xmin, 1 - ymax, xmax, 1 - ymin], axis=-1)
    return images, tf.where(selected[:, None, None] & (class_id >= 0), mirrored, labels)


def expand_crop_zoom(
    images: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    zoom_factor: float = 1.0,
    crop: bool = False,
    expand_factor: float = 1.0,
    hide_cut: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Shrink images, each with probability 0.5, up to ``expand_factor`` times, ``crop`` as SSD does, and zoom.

    Labels [B, M, 5] are (class id, xyxy in 0–1), −1 for padding. The area outside an image is gray. An object becomes
    padding if a crop excludes its center, or if a zoom leaves less than 40 % of its area. With ``hide_cut`` the rest of
    it is painted gray.
    """
    count = tf.shape(images)[0]
    windows = tf.tile(tf.constant([[0.0, 0.0, 1.0, 1.0]]), (count, 1))
    cut = tf.zeros_like(labels[:, :0])
    if expand_factor > 1:
        inner = expand_windows(tf.random.fold_in(seed, 1), count, expand_factor)
        windows, labels = compose_windows(windows, inner), transform_boxes(inner, labels)
    if crop:
        inner = iou_crop_windows(tf.random.fold_in(seed, 2), labels)
        windows = compose_windows(windows, inner)
        labels, cut = split_boxes(inner, labels, require_center=True)
        crops = windows
    if zoom_factor > 1:
        inner = zoom_windows(seed, count, zoom_factor)
        windows = compose_windows(windows, inner)
        labels, newly_cut = split_boxes(inner, labels, min_visible=MIN_VISIBLE)
        cut = tf.concat([transform_boxes(inner, cut), newly_cut], axis=1)
    images = crop_and_resize(images, windows)
    if crop and zoom_factor > 1:  # a smaller zoom shows what the crop has cut off, whose objects have no label
        images = gray_outside(images, windows, crops)
    return hide_objects(images, cut, labels) if hide_cut else images, labels


def color_jitter(images: tf.Tensor, seed: tf.Tensor, strength: float) -> tf.Tensor:
    """Multiply brightness, contrast and saturation of images with pixels 0–255, each by a random 1 ± ``strength``."""
    factors = tf.random.stateless_uniform((3, tf.shape(images)[0], 1, 1, 1), seed, 1 - strength, 1 + strength)
    brightness, contrast, saturation = tf.unstack(factors)
    gray = tf.reduce_mean(images, axis=3, keepdims=True)
    mean = tf.reduce_mean(gray, axis=(1, 2), keepdims=True)
    images = gray + (images - gray) * saturation
    images = (mean + (images - mean) * contrast) * brightness
    return tf.clip_by_value(images, 0.0, 255.0)
