"""Losses of the detector's anchors, as functions of tensors in the graph.

Class losses take logits [B, A, q+1] and the anchors' classes (0 is background); box losses take predictions and
targets [B, A, 4]. Sources: d2l, "Single Shot Multibox Detection"; Liu et al., 2016 (hard-negative mining); Lin et al.,
2017 (focal loss); Rezatofighi et al., 2019 (GIoU); Feng et al., 2021 (alignment as the target of the score).
"""

from __future__ import annotations

import tensorflow as tf

from edge_ssd.training.box_ops import box_iou

__all__ = ["cross_entropy", "focal_loss", "giou_loss", "hard_negatives", "l1_loss", "quality_loss", "smooth_l1_loss"]


def cross_entropy(class_logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    """Return the softmax cross-entropy [B, A] of ``class_logits`` [B, A, q+1]; ``classes`` [B, A], 0 is background."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=class_logits)


def focal_loss(class_logits: tf.Tensor, classes: tf.Tensor, gamma: float = 2.0) -> tf.Tensor:
    """Return −(1 − p)^gamma log p, [B, A], for ``class_logits`` [B, A, q+1]; p is the probability of ``classes``."""
    entropy = cross_entropy(class_logits, classes)
    return tf.pow(1 - tf.exp(-entropy), gamma) * entropy


def hard_negatives(entropy: tf.Tensor, positive: tf.Tensor, ratio: float = 3.0, minimum: int = 3) -> tf.Tensor:
    """Return the mask [B, A] of the background anchors with the largest loss, selected in each image separately.

    Args:
        entropy: float32 [B, A], the loss of every anchor.
        positive: bool [B, A], anchors that are not background.
        ratio: selected anchors per positive anchor.
        minimum: minimum number of selected anchors in an image, for one with few positive anchors.
    """
    negative_loss = tf.where(positive, -1.0, entropy)
    rank = tf.argsort(tf.argsort(negative_loss, axis=1, direction="DESCENDING"), axis=1)
    count = tf.reduce_sum(tf.cast(positive, tf.float32), axis=1, keepdims=True) * ratio
    return (tf.cast(rank, tf.float32) < tf.maximum(count, minimum)) & ~positive


def quality_loss(class_logits: tf.Tensor, classes: tf.Tensor, quality: tf.Tensor) -> tf.Tensor:
    """Return the cross-entropy [B, A] against ``quality`` (0–1) for ``classes``, and 1 − ``quality`` for background."""
    log_probabilities = tf.nn.log_softmax(class_logits)
    of_class = tf.gather(log_probabilities, classes, axis=2, batch_dims=2)
    return -(quality * of_class + (1 - quality) * log_probabilities[..., 0])


def l1_loss(offsets: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return the sum [B, A] of absolute differences between the four offsets and the target's, both [B, A, 4]."""
    return tf.reduce_sum(tf.abs(offsets - target), axis=-1)


def smooth_l1_loss(offsets: tf.Tensor, target: tf.Tensor, sigma: float = 1.0) -> tf.Tensor:
    """Return the book's smooth L1 [B, A]: (σx)²/2 for |x| < 1/σ², else |x| − 0.5/σ², summed over four differences x."""
    difference = tf.abs(offsets - target)
    square = tf.square(sigma * difference) / 2
    return tf.reduce_sum(tf.where(difference < 1 / sigma**2, square, difference - 0.5 / sigma**2), axis=-1)


def giou_loss(boxes: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return 1 − generalized IoU, [B, A] in 0–2, of ``boxes`` and ``target``, both [B, A, 4], xyxy."""
    hull = tf.maximum(boxes[..., 2:], target[..., 2:]) - tf.minimum(boxes[..., :2], target[..., :2])
    hull_area = tf.maximum(hull[..., 0] * hull[..., 1], 1e-12)
    size1, size2 = boxes[..., 2:] - boxes[..., :2], target[..., 2:] - target[..., :2]
    iou = box_iou(boxes, target)
    area = size1[..., 0] * size1[..., 1] + size2[..., 0] * size2[..., 1]
    union = area / (1 + iou)  # because intersection = iou · union and area = union + intersection
    return 1 - iou + (hull_area - union) / hull_area
