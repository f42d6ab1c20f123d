"""Mosaic augmentation (Bochkovskiy et al., 2020): four images in one.

The tiles meet at a random point, and each shows a window of its image, as large as the image is or shrunk. An object
that is cut by the edge of its tile keeps its label with the visible part of its box if that is at least 40 % of its
area. Otherwise the label is dropped and the rest of the object is painted gray, because it would be learned as
background; so is an object for which no label row is left.
"""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.training.box_ops import box_area
from edge_ssd.training.input.crop_and_resize import crop_and_resize
from edge_ssd.training.input.crop_windows import MIN_VISIBLE, split_boxes
from edge_ssd.training.input.hide_objects import hide_objects
from edge_ssd.training.input.label_rows import compact_rows

__all__ = ["TILES", "mosaic"]

TILES = 4
"""Number of images in a mosaic."""

# Where the tiles meet, as a share of height and width.
_MEETING = (0.3, 0.7)
_TRIALS = 8


def mosaic(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, rows: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mosaics, float32 [B, H, W, 3], and their labels [B, ``rows``, 5].

    The point where the tiles meet is one for all images, so that each tile is computed only where it is seen.

    Args:
        images: uint8 [B, 4, H, W, 3]: top left, top right, bottom left, bottom right.
        labels: float32 [B, 4, M, 5], rows (class id, xyxy in 0–1), −1 for padding.
        seed: int32 [2].
    """
    height, width = images.shape[2], images.shape[3]
    meeting = tf.random.stateless_uniform((2,), tf.random.fold_in(seed, 0), *_MEETING)
    x, y = (tf.cast(tf.round(meeting[i] * size), tf.int32) for i, size in enumerate((width, height)))
    tiles, kept, cut = [], [], []
    for tile, (left, top, right, bottom) in enumerate(
        ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
    ):
        edges = tf.stack([left / width, top / height, right / width, bottom / height])
        edges = tf.cast(edges, tf.float32)
        windows = _choose_windows(labels[:, tile], tf.random.fold_in(seed, 1 + tile), edges)
        pixels = tf.cast(images[:, tile], tf.float32)
        tiles.append(crop_and_resize(pixels, windows, (tf.range(top, bottom), tf.range(left, right))))
        visible, invisible = split_boxes(windows, labels[:, tile], region=edges, min_visible=MIN_VISIBLE)
        kept.append(visible)
        cut.append(invisible)
    lines = [tf.concat(tiles[:2], axis=2), tf.concat(tiles[2:], axis=2)]
    composed = tf.ensure_shape(tf.concat(lines, axis=1), (images.shape[0], height, width, 3))
    objects, without_row = compact_rows(tf.concat(kept, axis=1), rows)
    return hide_objects(composed, tf.concat([*cut, without_row], axis=1), objects), objects


def _choose_windows(labels: tf.Tensor, seed: tf.Tensor, edges: tf.Tensor) -> tf.Tensor:
    """Return windows [B, 4], xyxy in 0–1 of the image, such that the part in ``edges`` is what the tile shows.

    Of eight random windows it is the one that shows least of objects that lose their label.

    Args:
        labels: of the images, [B, M, 5].
        edges: those of the tile, [4], xyxy in 0–1 of the mosaic.
    """
    count = tf.shape(labels)[0]
    windows = _random_windows(seed, count * _TRIALS, edges)
    _, cut = split_boxes(windows, tf.repeat(labels, _TRIALS, axis=0), region=edges, min_visible=MIN_VISIBLE)
    lost = tf.reduce_sum(box_area(cut[..., 1:]), axis=1)
    best = tf.argmin(tf.reshape(lost, (count, _TRIALS)), axis=1)
    return tf.gather(tf.reshape(windows, (count, _TRIALS, 4)), best, batch_dims=1)


def _random_windows(seed: tf.Tensor, count: tf.Tensor, edges: tf.Tensor) -> tf.Tensor:
    """Return ``count`` windows as of :func:`_choose_windows`.

    The image is as large as the mosaic, or shrunk, but not so far that it fills the tile in neither direction.
    """
    seeds = tf.random.split(seed, 2)
    corner, extent = edges[:2], edges[2:] - edges[:2]
    scale = tf.reduce_min(extent) ** tf.random.stateless_uniform((count, 1), seeds[0])
    start = tf.random.stateless_uniform((count, 2), seeds[1]) * (1 - extent / scale)
    origin = start - corner / scale
    return tf.concat([origin, origin + 1 / scale], axis=1)
