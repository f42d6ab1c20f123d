"""Anchor assignment inside the TensorFlow graph.

``multibox_target`` follows the rules of :mod:`edge_ssd.targets`, the readable reference, for a whole batch at
once. ``task_aligned_target`` assigns anew at each step, by what the network predicts.

Throughout: B pictures, M label rows (class id, xyxy in 0–1; −1 is padding), A anchors.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from edge_ssd.coding import BoxCoding

__all__ = ["Target", "box_iou", "decode_offsets", "encode_boxes", "multibox_target", "task_aligned_target"]

_EPSILON = 1e-6  # as in edge_ssd.coding: keeps the logarithm of an empty box finite


class Target(NamedTuple):
    """What a batch's anchors should predict."""

    classes: tf.Tensor
    """int32 [B, A]: 0 for background, else class id + 1."""
    quality: tf.Tensor
    """float32 [B, A] in 0–1: the score an anchor should give its class; 0 for background."""
    boxes: tf.Tensor
    """float32 [B, A, 4]: the assigned object, xyxy; the anchor itself where there is none."""


def box_iou(boxes1: tf.Tensor, boxes2: tf.Tensor) -> tf.Tensor:
    """IoU of boxes [..., 4] that broadcast against each other, xyxy."""
    size = tf.nn.relu(tf.minimum(boxes1[..., 2:], boxes2[..., 2:]) - tf.maximum(boxes1[..., :2], boxes2[..., :2]))
    intersection = size[..., 0] * size[..., 1]
    union = _area(boxes1) + _area(boxes2) - intersection
    return intersection / tf.maximum(union, 1e-12)


def encode_boxes(anchors: tf.Tensor, boxes: tf.Tensor, coding: BoxCoding) -> tf.Tensor:
    """:func:`edge_ssd.coding.offset_boxes` in the graph."""
    (anchor_centre, anchor_size), (centre, size) = _centre_size(anchors), _centre_size(boxes)
    xy = (centre - anchor_centre) / anchor_size * coding.xy_scale
    return tf.concat([xy, tf.math.log(_EPSILON + size / anchor_size) * coding.wh_scale], axis=-1)


def decode_offsets(anchors: tf.Tensor, offsets: tf.Tensor, coding: BoxCoding) -> tf.Tensor:
    """:func:`edge_ssd.coding.offset_inverse` in the graph."""
    anchor_centre, anchor_size = _centre_size(anchors)
    centre = offsets[..., :2] / coding.xy_scale * anchor_size + anchor_centre
    # An untrained network may ask for any size; e⁶ anchors is past every picture and still far from overflow.
    half = tf.exp(tf.minimum(offsets[..., 2:] / coding.wh_scale, 6.0)) * anchor_size / 2
    return tf.concat([centre - half, centre + half], axis=-1)


def multibox_target(anchors: tf.Tensor, labels: tf.Tensor, iou_threshold: float = 0.5) -> Target:
    """The book's fixed assignment, for anchors [A, 4] and labels [B, M, 5]."""
    num_anchors, num_rows = tf.shape(anchors)[0], tf.shape(labels)[1]
    real = labels[..., 0] >= 0
    iou = box_iou(anchors[None, :, None, :], labels[:, None, :, 1:])  # [B, A, M]
    iou = tf.where(real[:, None, :], iou, -1.0)
    assigned = tf.where(tf.reduce_max(iou, axis=2) >= iou_threshold, tf.argmax(iou, axis=2, output_type=tf.int32), -1)

    # Every object takes its best anchor, best pair first, no anchor twice: one object a turn in all pictures.
    def take_best(turn: tf.Tensor, iou: tf.Tensor, assigned: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        flat = tf.reshape(iou, (tf.shape(iou)[0], -1))
        best = tf.argmax(flat, axis=1, output_type=tf.int32)
        is_pair = tf.reduce_max(flat, axis=1) >= 0
        anchor = tf.one_hot(best // num_rows, num_anchors, on_value=True, off_value=False) & is_pair[:, None]
        row = tf.one_hot(best % num_rows, num_rows, on_value=True, off_value=False) & is_pair[:, None]
        assigned = tf.where(anchor, (best % num_rows)[:, None], assigned)
        taken = tf.where(anchor[:, :, None] | row[:, None, :], -1.0, iou)
        return turn + 1, tf.ensure_shape(taken, iou.shape), assigned

    _, _, assigned = tf.while_loop(lambda turn, _iou, _assigned: turn < num_rows, take_best, (0, iou, assigned))
    return _gather(anchors, labels, assigned, tf.cast(assigned >= 0, tf.float32))


def task_aligned_target(
    anchors: tf.Tensor,
    labels: tf.Tensor,
    scores: tf.Tensor,
    boxes: tf.Tensor,
    top_k: int = 10,
    alpha: float = 0.5,
    beta: float = 6.0,
) -> Target:
    """Assignment by alignment (Feng et al., 2021, "TOOD"): each object takes the anchors that already suit it best.

    An anchor's alignment with an object is score^alpha · IoU^beta of its *predicted* box. Of the anchors whose
    centre lies in the object, the ``top_k`` best aligned are its positives; an anchor wanted twice goes to the
    object its box overlaps more. ``quality`` is the alignment, scaled so that an object's best anchor is asked
    for its best IoU: scores learn to say how well the box fits.

    Args:
        scores: float32 [B, A, q], predicted probabilities without background.
        boxes: float32 [B, A, 4], predicted boxes, xyxy.
    """
    num_rows = tf.shape(labels)[1]
    objects = labels[:, :, None, 1:]  # [B, M, 1, 4]
    real = labels[..., 0] >= 0
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2
    inside = tf.reduce_all((centre > objects[..., :2]) & (centre < objects[..., 2:]), axis=-1)  # [B, M, A]
    # A small object may hold no anchor's centre: then the anchors nearest in shape and place stand in.
    anchor_iou = box_iou(anchors, objects)
    nearest = anchor_iou >= tf.reduce_max(anchor_iou, axis=2, keepdims=True)
    candidate = tf.where(tf.reduce_any(inside, axis=2, keepdims=True), inside, nearest) & real[:, :, None]

    iou = tf.where(candidate, box_iou(boxes[:, None], objects), 0.0)  # [B, M, A]
    class_ids = tf.maximum(tf.cast(labels[..., 0], tf.int32), 0)
    score = tf.gather(tf.transpose(scores, (0, 2, 1)), class_ids, batch_dims=1)  # [B, M, A]
    alignment = tf.where(candidate, tf.pow(score, alpha) * tf.pow(iou, beta) + 1e-9, 0.0)
    kth_best = tf.math.top_k(alignment, k=top_k, sorted=True).values[..., -1:]
    positive = candidate & (alignment >= kth_best)

    owner = tf.argmax(tf.where(positive, iou, -1.0), axis=1, output_type=tf.int32)  # [B, A]
    positive &= tf.transpose(tf.one_hot(owner, num_rows, on_value=True, off_value=False), (0, 2, 1))
    alignment = tf.where(positive, alignment, 0.0)
    best_iou = tf.reduce_max(tf.where(positive, iou, 0.0), axis=2, keepdims=True)
    best_alignment = tf.reduce_max(alignment, axis=2, keepdims=True)
    quality = tf.reduce_max(alignment / tf.maximum(best_alignment, 1e-12) * best_iou, axis=1)  # [B, A]
    assigned = tf.where(tf.reduce_any(positive, axis=1), owner, -1)
    return _gather(anchors, labels, assigned, quality)


def _gather(anchors: tf.Tensor, labels: tf.Tensor, assigned: tf.Tensor, quality: tf.Tensor) -> Target:
    """A target from the row [B, A] that each anchor is assigned, −1 for none."""
    row = tf.gather(labels, tf.maximum(assigned, 0), batch_dims=1)  # [B, A, 5]
    classes = tf.where(assigned >= 0, tf.cast(row[..., 0], tf.int32) + 1, 0)
    boxes = tf.where((assigned >= 0)[..., None], row[..., 1:], anchors[None])
    return Target(tf.stop_gradient(classes), tf.stop_gradient(quality), tf.stop_gradient(boxes))


def _centre_size(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return tf.nn.relu(boxes[..., 2] - boxes[..., 0]) * tf.nn.relu(boxes[..., 3] - boxes[..., 1])
