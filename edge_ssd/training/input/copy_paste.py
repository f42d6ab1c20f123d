"""Copy-paste augmentation (Dwibedi et al., 2017; Ghiasi et al., 2021): objects of one image in another.

The donor, another training image, is mirrored, enlarged or shrunk at random, and some of the boxes of its objects are
copied at the place that they have then. The rules:

- An object is copied only if no other object of the donor overlaps it by more than a tenth (of the smaller box): what
  its box shows of the other one would be learned as background.
- It is pasted only where it overlaps each object of the image by at most a fifth (of the smaller box, so that their IoU
  is at most 0.2 too), and where at most 40 % of an object are covered in all. Then all objects keep their labels.
- The whole box is copied. Around it the two images are blended, from not at all to over a tenth of its sides.
"""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.training.box_ops import box_area, box_intersection
from edge_ssd.training.input.crop_and_resize import crop_and_resize
from edge_ssd.training.input.crop_windows import MIN_VISIBLE, stretched_windows, transform_boxes
from edge_ssd.training.input.label_rows import pasted_rows

__all__ = ["paste_objects"]

_TRIALS = 10
# A donor is enlarged by up to 2, and shrunk by up to 4 while its largest object has a tenth of the image's side.
_MAX_ENLARGED, _MAX_SHRUNK, _MIN_SIDE = 2.0, 4.0, 0.1
_MAX_DONOR_OVERLAP = 0.1
_MAX_OVERLAP = 0.2
_MAX_COVERED = 0.4
_MAX_BORDER = 0.1
# A smaller object shows nothing.
_MIN_PIXELS = 4


def paste_objects(
    images: tf.Tensor,
    labels: tf.Tensor,
    donors: tf.Tensor,
    donor_labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    probability: float,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Paste objects of ``donors`` into ``images``, each with ``probability``; return images and labels.

    Args:
        images, donors: float32 [B, H, W, 3].
        labels: float32 [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding.
        donor_labels: float32 [B, N, 5].
        seed: int32 [2].

    Returns:
        Images, and labels [B, M + P, 5]; P is :func:`~edge_ssd.training.input.label_rows.pasted_rows` of N.
    """
    height, width = images.shape[1], images.shape[2]
    count = tf.shape(images)[0]
    seeds = tf.random.split(seed, 5)
    objects = _choose_objects(donor_labels, seeds[0])  # [B, P, 5]
    windows, moved = _choose_window(objects, labels, seeds[1], (height, width))
    chosen = _choose_some(moved[..., 0] >= 0, seeds[2])
    chosen &= (tf.random.stateless_uniform((count,), seeds[3]) < probability)[:, None]
    chosen &= ~_cover_too_much(moved, labels, chosen)
    pasted = tf.where(chosen[..., None], moved, -1.0)
    border = tf.random.stateless_uniform((count, 1), seeds[4], 0.0, _MAX_BORDER)
    opacity = _opacity(pasted, border, windows, (height, width))[..., None]
    images += opacity * (crop_and_resize(donors, windows) - images)
    return images, tf.concat([labels, pasted], axis=1)


def _overlap(labels: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Return the intersection over the smaller area of labels [..., N, 5] and [..., M, 5]: [..., N, M]."""
    boxes, other_boxes = labels[..., :, None, 1:], others[..., None, :, 1:]
    smaller = tf.minimum(box_area(boxes), box_area(other_boxes))
    both = (labels[..., :, None, 0] >= 0) & (others[..., None, :, 0] >= 0)
    return tf.where(both, box_intersection(boxes, other_boxes) / tf.maximum(smaller, 1e-12), 0.0)


def _choose_objects(labels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return up to P random objects of ``labels`` [B, N, 5] that no other object overlaps: [B, P, 5], or padding."""
    overlap = tf.linalg.set_diag(_overlap(labels, labels), tf.zeros(tf.shape(labels)[:2]))
    free = (labels[..., 0] >= 0) & (tf.reduce_max(overlap, axis=2) <= _MAX_DONOR_OVERLAP)
    order = tf.where(free, tf.random.stateless_uniform(tf.shape(free), seed), -1.0)
    rank, indices = tf.math.top_k(order, pasted_rows(labels.shape[1]))
    return tf.where(rank[..., None] >= 0, tf.gather(labels, indices, batch_dims=1), -1.0)


def _choose_window(
    objects: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, size: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return a window of each donor [B, 4], and its ``objects`` [B, P, 5] in it, padding for those that do not fit.

    It is the first of ten random windows in which an object fits between those of ``labels`` [B, M, 5].
    """
    count, rows = tf.shape(objects)[0], objects.shape[1]
    largest = tf.reduce_max(objects[..., 3:] - objects[..., 1:3], axis=(1, 2))  # 0 for padding only
    max_side = tf.repeat(tf.clip_by_value(largest / _MIN_SIDE, 1.0, _MAX_SHRUNK), _TRIALS)[:, None]
    windows = stretched_windows(seed, count * _TRIALS, 1 / _MAX_ENLARGED, max_side)
    moved = transform_boxes(windows, tf.repeat(objects, _TRIALS, axis=0), min_visible=MIN_VISIBLE)
    moved = tf.reshape(moved, (count, _TRIALS, rows, 5))
    pixels = (moved[..., 3:] - moved[..., 1:3]) * tf.constant([size[1], size[0]], tf.float32)
    overlap = tf.reduce_max(_overlap(moved, labels[:, None]), axis=3)  # [B, T, P]
    fits = (moved[..., 0] >= 0) & (overlap <= _MAX_OVERLAP) & (tf.reduce_min(pixels, axis=-1) >= _MIN_PIXELS)
    first = tf.argmax(tf.cast(tf.reduce_any(fits, axis=2), tf.int32), axis=1)
    windows = tf.gather(tf.reshape(windows, (count, _TRIALS, 4)), first, batch_dims=1)
    moved = tf.gather(tf.where(fits[..., None], moved, -1.0), first, batch_dims=1)
    return windows, moved


def _choose_some(candidates: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return about half of the ``candidates``, a mask [B, P], and at least one of them if there is one."""
    rank = tf.where(candidates, tf.random.stateless_uniform(tf.shape(candidates), seed), 2.0)
    return candidates & (rank <= tf.maximum(0.5, tf.reduce_min(rank, axis=1, keepdims=True)))


def _cover_too_much(moved: tf.Tensor, labels: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Return the mask [B, P] of the objects that touch one of which the ``chosen`` ones cover too much together."""
    intersection = box_intersection(moved[:, :, None, 1:], labels[:, None, :, 1:])  # [B, P, M]
    intersection = tf.where(chosen[..., None] & (labels[:, None, :, 0] >= 0), intersection, 0.0)
    covered = tf.reduce_sum(intersection, axis=1) / tf.maximum(box_area(labels[..., 1:]), 1e-12)
    return tf.reduce_any((intersection > 0) & (covered > _MAX_COVERED)[:, None], axis=2)


def _opacity(pasted: tf.Tensor, border: tf.Tensor, windows: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Return how much of each pixel is pasted, [B, H, W]: 1 in the boxes, falling to 0 over ``border`` [B, 1] sides.

    It is 0 outside the donor.
    """
    rows = _ramp(pasted[..., 2], pasted[..., 4], border, size[0])  # [B, P, H]
    columns = _ramp(pasted[..., 1], pasted[..., 3], border, size[1])
    rows = tf.where(pasted[..., :1] >= 0, rows, 0.0)
    opacity = tf.reduce_max(rows[..., :, None] * columns[..., None, :], axis=1)
    # The donor, xyxy in 0–1 of the image.
    extent = windows[:, 2:] - windows[:, :2]
    donor = tf.concat([-windows[:, :2] / extent, (1 - windows[:, :2]) / extent], axis=1)
    no_border = tf.zeros_like(border)
    inside_rows = _ramp(donor[:, 1:2], donor[:, 3:], no_border, size[0])[:, 0, :, None]
    inside_columns = _ramp(donor[:, :1], donor[:, 2:3], no_border, size[1])
    return opacity * inside_rows * inside_columns


def _ramp(start: tf.Tensor, end: tf.Tensor, border: tf.Tensor, size: int) -> tf.Tensor:
    """Return 1 for the pixels [B, P, S] whose center is in an interval [B, P] in 0–1, less beside it, 0 farther away.

    It falls to 0 over ``border`` [B, 1] times the length of the interval.
    """
    center = (tf.range(size, dtype=tf.float32) + 0.5) / size
    distance = tf.nn.relu(tf.maximum(start[..., None] - center, center - end[..., None]))
    return tf.nn.relu(1 - distance / tf.maximum(border * (end - start), 1e-6)[..., None])
