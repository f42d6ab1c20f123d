"""The training objective: a recipe's assignment and losses put together, for one batch, in the graph."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from edge_ssd.boxes import FloatArray
from edge_ssd.network import Network
from edge_ssd.training.loss import functions as losses
from edge_ssd.training.loss.distillation import TeacherOutputs, distillation_loss
from edge_ssd.training.loss.targets import Target, decode_offsets, encode_boxes, multibox_target, task_aligned_target
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.workers import SINGLE_WORKER, Workers

__all__ = ["BookMetrics", "DetectionLoss", "book_metrics"]


class BookMetrics(NamedTuple):
    """The two figures that the book draws; lower is better, but neither judges a detector (AP does)."""

    class_error: tf.Tensor
    """Share of anchors whose most probable class is wrong."""
    box_mae: tf.Tensor
    """Mean absolute error of all offsets, zero by definition at background anchors."""


def book_metrics(class_logits: tf.Tensor, offsets: tf.Tensor, target: Target, target_offsets: tf.Tensor) -> BookMetrics:
    """The book's ``cls_eval`` and ``bbox_eval`` as means, against the book's fixed assignment."""
    wrong = tf.argmax(class_logits, axis=-1, output_type=tf.int32) != target.classes
    positive = tf.cast(target.classes > 0, tf.float32)
    error = tf.abs(offsets - target_offsets) * positive[..., None]
    return BookMetrics(tf.reduce_mean(tf.cast(wrong, tf.float32)), tf.reduce_mean(error))


class DetectionLoss:
    """Loss and metrics of one batch, for one network and recipe.

    With several workers each gets its share of the batch; loss and metrics are then parts, whose sum over the
    workers is that of the whole batch. So the loss is normalised by the objects of all shares, not of its own.

    Args:
        class_weights: [q], how much an object of each class counts; None is 1 for all. Background counts 1.
        workers: who shares a batch.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        class_weights: FloatArray | None = None,
        workers: Workers = SINGLE_WORKER,
    ) -> None:
        self._workers = workers
        self._coding = network.coding
        self._recipe = recipe
        self._anchors = tf.constant(network.anchors())
        self._weights = None if class_weights is None else tf.constant([1.0, *class_weights], tf.float32)

    def __call__(
        self, class_logits: tf.Tensor, offsets: tf.Tensor, labels: tf.Tensor, lesson: TeacherOutputs | None = None
    ) -> tuple[tf.Tensor, BookMetrics]:
        """The loss, a scalar, and the book's metrics.

        Args:
            class_logits: float32 [B, A, q+1].
            offsets: float32 [B, A, 4].
            labels: float32 [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding.
            lesson: what a teacher finds in the same pictures.
        """
        fixed = multibox_target(self._anchors, labels)
        fixed_offsets = encode_boxes(self._anchors, fixed.boxes, self._coding)
        metrics = BookMetrics(
            *(value / self._workers.count for value in book_metrics(class_logits, offsets, fixed, fixed_offsets))
        )
        boxes = decode_offsets(self._anchors, offsets, self._coding)
        if self._recipe.class_loss == "cross_entropy":
            loss = self._book_loss(class_logits, offsets, fixed, fixed_offsets)
        else:
            loss = self._loss(class_logits, offsets, boxes, labels, (fixed, fixed_offsets))
        if lesson is not None:
            loss += self._recipe.teacher_weight * self._taught(lesson, class_logits, boxes)
        return loss, metrics

    def _loss(
        self,
        class_logits: tf.Tensor,
        offsets: tf.Tensor,
        boxes: tf.Tensor,
        labels: tf.Tensor,
        fixed: tuple[Target, tf.Tensor],
    ) -> tf.Tensor:
        """Each positive anchor weighs what it is worth; both losses are means over that weight."""
        target, target_offsets = fixed
        if self._recipe.assignment == "dynamic":
            target = task_aligned_target(self._anchors, labels, tf.nn.softmax(class_logits)[..., 1:], boxes)
            target_offsets = encode_boxes(self._anchors, target.boxes, self._coding)
        worth = self._weighted(target.quality, target)
        total = tf.maximum(self._workers.sum(tf.reduce_sum(worth)), 1.0)
        class_loss = tf.reduce_sum(self._weighted(self._class_loss(class_logits, target), target)) / total
        box_loss = tf.reduce_sum(self._box_loss(offsets, target_offsets, boxes, target) * worth) / total
        return class_loss + self._recipe.box_weight * box_loss

    def _taught(self, lesson: TeacherOutputs, class_logits: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """How far the batch is from what the teacher finds, as a mean over the objects that it sees."""
        seen = self._workers.sum(tf.reduce_sum(1 - lesson.probabilities[..., 0]))
        apart = distillation_loss(lesson, class_logits, boxes, self._recipe.box_weight)
        return tf.reduce_sum(apart) / tf.maximum(seen, 1.0)

    def _book_loss(
        self, class_logits: tf.Tensor, offsets: tf.Tensor, target: Target, target_offsets: tf.Tensor
    ) -> tf.Tensor:
        """The book's sum: mean cross-entropy over all anchors, mean masked L1 over all offsets."""
        positive = tf.cast(target.classes > 0, tf.float32)
        class_loss = tf.reduce_mean(self._weighted(losses.cross_entropy(class_logits, target.classes), target))
        box_loss = tf.reduce_mean(self._weighted(losses.l1_loss(offsets, target_offsets) * positive, target)) / 4
        return (class_loss + self._recipe.box_weight * box_loss) / self._workers.count

    def _weighted(self, values: tf.Tensor, target: Target) -> tf.Tensor:
        """``values`` [B, A], each by the weight of its anchor's class."""
        return values if self._weights is None else values * tf.gather(self._weights, target.classes)

    def _class_loss(self, class_logits: tf.Tensor, target: Target) -> tf.Tensor:
        if self._recipe.class_loss == "quality":
            return losses.quality_loss(class_logits, target.classes, target.quality)
        if self._recipe.class_loss == "focal":
            return losses.focal_loss(class_logits, target.classes)
        entropy = losses.cross_entropy(class_logits, target.classes)
        positive = target.classes > 0
        return tf.where(positive | losses.hard_negatives(entropy, positive), entropy, 0.0)

    def _box_loss(self, offsets: tf.Tensor, target_offsets: tf.Tensor, boxes: tf.Tensor, target: Target) -> tf.Tensor:
        if self._recipe.box_loss == "l1":
            return losses.l1_loss(offsets, target_offsets)
        smooth = losses.smooth_l1_loss(offsets, target_offsets, self._recipe.sigma)
        if self._recipe.box_loss == "smooth_l1":
            return smooth
        # Overlap is what AP judges; smooth L1 beside it pulls where boxes do not overlap yet.
        return losses.giou_loss(boxes, target.boxes) * 2 + smooth * 0.1
