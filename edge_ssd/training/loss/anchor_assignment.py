"""Assignment of anchors to objects in the TensorFlow graph.

``multibox_target`` follows the rules of :mod:`edge_ssd.reference_targets`, the readable reference, for a whole batch.
``task_aligned_target`` depends on the predictions, so the assignment changes at every step.

Anchors are float32 [A, 4], xyxy in 0–1; labels float32 [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from edge_ssd.training.box_ops import box_iou, center_inside

__all__ = ["AnchorTargets", "multibox_target", "task_aligned_target"]


class AnchorTargets(NamedTuple):
    """Targets of the A anchors in each of the B images of a batch."""

    classes: tf.Tensor
    """int32 [B, A], 0 for background, else class id + 1."""
    quality: tf.Tensor
    """float32 [B, A] in 0–1, the target score of the anchor's class; 0 for background."""
    boxes: tf.Tensor
    """float32 [B, A, 4], xyxy of the assigned object; of the anchor itself for background."""


def multibox_target(anchors: tf.Tensor, labels: tf.Tensor, iou_threshold: float = 0.5) -> AnchorTargets:
    """Return the book's fixed assignment by IoU.

    The IoU of an anchor and its object is at least ``iou_threshold``; every object also gets its best anchor. Anchors
    are [A, 4], xyxy in 0–1; labels [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding.
    """
    num_anchors, num_rows = tf.shape(anchors)[0], tf.shape(labels)[1]
    real = labels[..., 0] >= 0
    iou = box_iou(anchors, labels[:, :, None, 1:])  # [B, M, A]
    iou = tf.where(real[:, :, None], iou, -1.0)
    assigned = tf.where(tf.reduce_max(iou, axis=1) >= iou_threshold, tf.argmax(iou, axis=1, output_type=tf.int32), -1)

    # Every object takes its best anchor, the pair with the highest IoU first; each anchor is taken once. One turn
    # handles one object of every image. One of the M best anchors of an object is left when its turn comes, so that
    # the turns need not look at the others.
    values, anchor_ids = tf.math.top_k(iou, k=tf.minimum(num_rows, num_anchors))  # [B, M, K]
    rows = tf.range(num_rows)[None, :, None]
    pairs = anchor_ids * num_rows + rows  # of equal IoU the first anchor, then the first object

    def take_best(turn: tf.Tensor, values: tf.Tensor, assigned: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        best = tf.reduce_max(values, axis=(1, 2), keepdims=True)
        pair = tf.reduce_min(tf.where(values == best, pairs, pairs.dtype.max), axis=(1, 2), keepdims=True)
        anchor, row = pair // num_rows, pair % num_rows  # [B, 1, 1]
        is_taken = (tf.range(num_anchors) == anchor[:, 0]) & (best[:, 0] >= 0)
        assigned = tf.where(is_taken, row[:, 0], assigned)
        values = tf.where((anchor_ids == anchor) | (rows == row), -1.0, values)
        return turn + 1, values, assigned

    _, _, assigned = tf.while_loop(lambda turn, _values, _assigned: turn < num_rows, take_best, (0, values, assigned))
    return _gather(anchors, labels, assigned, tf.cast(assigned >= 0, tf.float32))


def task_aligned_target(
    anchors: tf.Tensor,
    labels: tf.Tensor,
    scores: tf.Tensor,
    boxes: tf.Tensor,
    top_k: int = 10,
    alpha: float = 0.5,
    beta: float = 6.0,
) -> AnchorTargets:
    """Return the assignment by task alignment (Feng et al., 2021, "TOOD").

    An anchor's alignment with an object is score^alpha · IoU^beta of its *predicted* box. Of the anchors whose
    center lies in the object, the ``top_k`` best aligned are its positives; an anchor that is positive for two
    objects is assigned to the one with the higher IoU. ``quality`` is the alignment, scaled so that the maximum of
    each object is its maximum IoU: the score then predicts how well the box fits.

    Args:
        anchors, labels: as in :func:`multibox_target`.
        scores: float32 [B, A, q], predicted probabilities without background.
        boxes: float32 [B, A, 4], predicted boxes, xyxy.
    """
    num_rows = tf.shape(labels)[1]
    objects = labels[:, :, None, 1:]  # [B, M, 1, 4]
    real = labels[..., 0] >= 0
    inside = center_inside(anchors, objects)  # [B, M, A]
    # A small object may contain no anchor's center: the anchors with the highest IoU are used instead.
    anchor_iou = box_iou(anchors, objects)
    nearest = anchor_iou >= tf.reduce_max(anchor_iou, axis=2, keepdims=True)
    candidate = tf.where(tf.reduce_any(inside, axis=2, keepdims=True), inside, nearest) & real[:, :, None]

    iou = tf.where(candidate, box_iou(boxes[:, None], objects), 0.0)  # [B, M, A]
    class_ids = tf.maximum(tf.cast(labels[..., 0], tf.int32), 0)
    score = tf.gather(tf.transpose(tf.pow(scores, alpha), (0, 2, 1)), class_ids, batch_dims=1)  # [B, M, A]
    alignment = tf.where(candidate, score * tf.pow(iou, beta) + 1e-9, 0.0)
    kth_best = tf.math.top_k(alignment, k=top_k, sorted=True).values[..., -1:]
    positive = candidate & (alignment >= kth_best)

    owner = tf.argmax(tf.where(positive, iou, -1.0), axis=1, output_type=tf.int32)  # [B, A]
    positive &= tf.one_hot(owner, num_rows, on_value=True, off_value=False, axis=1)
    alignment = tf.where(positive, alignment, 0.0)
    best_iou = tf.reduce_max(tf.where(positive, iou, 0.0), axis=2, keepdims=True)
    best_alignment = tf.reduce_max(alignment, axis=2, keepdims=True)
    quality = tf.reduce_max(alignment / tf.maximum(best_alignment, 1e-12) * best_iou, axis=1)  # [B, A]
    assigned = tf.where(tf.reduce_any(positive, axis=1), owner, -1)
    return _gather(anchors, labels, assigned, quality)


def _gather(anchors: tf.Tensor, labels: tf.Tensor, assigned: tf.Tensor, quality: tf.Tensor) -> AnchorTargets:
    """Return the targets for the label row [B, A] that each anchor is assigned to, −1 for none."""
    row = tf.gather(labels, tf.maximum(assigned, 0), batch_dims=1)  # [B, A, 5]
    classes = tf.where(assigned >= 0, tf.cast(row[..., 0], tf.int32) + 1, 0)
    boxes = tf.where((assigned >= 0)[..., None], row[..., 1:], anchors[None])
    return AnchorTargets(tf.stop_gradient(classes), tf.stop_gradient(quality), tf.stop_gradient(boxes))
