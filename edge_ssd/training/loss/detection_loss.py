"""Training loss of a batch: a recipe's anchor assignment and losses combined, in the graph."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from edge_ssd.boxes import FloatArray
from edge_ssd.network import Network
from edge_ssd.training.box_ops import decode_offsets, encode_boxes
from edge_ssd.training.input.label_rows import without_padding_rows
from edge_ssd.training.loss import anchor_losses
from edge_ssd.training.loss.anchor_assignment import AnchorTargets, multibox_target, task_aligned_target
from edge_ssd.training.loss.distillation import TeacherOutputs, distillation_loss
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.workers import SINGLE_WORKER, Workers

__all__ = ["BookMetrics", "DetectionLoss", "book_metrics"]


class BookMetrics(NamedTuple):
    """The two metrics that the book plots; lower is better. Neither measures detection quality, AP does."""

    class_error: tf.Tensor
    """Fraction of anchors whose most probable class is wrong."""
    box_mae: tf.Tensor
    """Mean absolute error of all offsets, 0 for background anchors."""


def book_metrics(
    class_logits: tf.Tensor, offsets: tf.Tensor, target: AnchorTargets, target_offsets: tf.Tensor
) -> BookMetrics:
    """Return the share of anchors with a wrong class, and the mean absolute error of ``offsets`` to their targets."""
    wrong = tf.argmax(class_logits, axis=-1, output_type=tf.int32) != target.classes
    positive = tf.cast(target.classes > 0, tf.float32)
    error = tf.abs(offsets - target_offsets) * positive[..., None]
    return BookMetrics(tf.reduce_mean(tf.cast(wrong, tf.float32)), tf.reduce_mean(error))


class DetectionLoss:
    """Loss and metrics of a batch for one network and recipe.

    With several workers each computes its share of the global batch: loss and metrics are then parts whose sum over
    the workers is that of the global batch. The loss is therefore normalized by the objects of all shares.

    ``class_weights`` are float32 [q], the weight of an object of each class; None for 1. Background has weight 1.
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
        self.class_weights = None if class_weights is None else tf.constant([1.0, *class_weights], tf.float32)
        """Float32 [q+1], background first; None for equal weights."""

    def __call__(
        self, class_logits: tf.Tensor, offsets: tf.Tensor, labels: tf.Tensor, teacher: TeacherOutputs | None = None
    ) -> tuple[tf.Tensor, BookMetrics]:
        """Return the loss, a scalar, and the book's metrics.

        Args:
            class_logits: float32 [B, A, q+1].
            offsets: float32 [B, A, 4].
            labels: float32 [B, M, 5], rows (class id, xyxy in 0–1), −1 for padding.
        """
        labels = without_padding_rows(labels)
        fixed = multibox_target(self._anchors, labels)
        fixed_offsets = encode_boxes(self._anchors, fixed.boxes, self._coding)
        metrics = BookMetrics(
            *(value / self._workers.count for value in book_metrics(class_logits, offsets, fixed, fixed_offsets))
        )
        boxes = decode_offsets(self._anchors, offsets, self._coding)
        if self._recipe.class_loss == "cross_entropy":
            loss = self._book_loss(class_logits, offsets, fixed, fixed_offsets)
        else:
            target, target_offsets = fixed, fixed_offsets
            if self._recipe.assignment == "dynamic":
                target = task_aligned_target(self._anchors, labels, tf.nn.softmax(class_logits)[..., 1:], boxes)
                target_offsets = encode_boxes(self._anchors, target.boxes, self._coding)
            loss = self._weighted_loss(class_logits, offsets, boxes, target, target_offsets)
        if teacher is not None:
            loss += self._recipe.teacher_weight * self._distillation_loss(teacher, class_logits, boxes)
        return loss, metrics

    def _book_loss(
        self, class_logits: tf.Tensor, offsets: tf.Tensor, target: AnchorTargets, target_offsets: tf.Tensor
    ) -> tf.Tensor:
        """Return the book's sum: mean cross-entropy over all anchors plus mean masked L1 over all offsets."""
        positive = tf.cast(target.classes > 0, tf.float32)
        entropy = anchor_losses.cross_entropy(class_logits, target.classes)
        l1 = anchor_losses.l1_loss(offsets, target_offsets) * positive
        class_loss = tf.reduce_mean(self._apply_class_weights(entropy, target))
        box_loss = tf.reduce_mean(self._apply_class_weights(l1, target)) / 4
        return (class_loss + self._recipe.box_weight * box_loss) / self._workers.count

    def _weighted_loss(
        self,
        class_logits: tf.Tensor,
        offsets: tf.Tensor,
        boxes: tf.Tensor,
        target: AnchorTargets,
        target_offsets: tf.Tensor,
    ) -> tf.Tensor:
        """Return class and box loss as means weighted by ``quality`` of the positive anchors."""
        positive_weight = self._apply_class_weights(target.quality, target)
        total = tf.maximum(self._workers.replica_sum(tf.reduce_sum(positive_weight)), 1.0)
        class_loss = tf.reduce_sum(self._apply_class_weights(self._class_loss(class_logits, target), target)) / total
        box_loss = tf.reduce_sum(self._box_loss(offsets, target_offsets, boxes, target) * positive_weight) / total
        return class_loss + self._recipe.box_weight * box_loss

    def _distillation_loss(self, teacher: TeacherOutputs, class_logits: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
        """Return the distance to the teacher as a mean over the teacher's expected number of objects."""
        num_objects = self._workers.replica_sum(tf.reduce_sum(1 - teacher.probabilities[..., 0]))
        loss = distillation_loss(teacher, class_logits, boxes, self._recipe.box_weight)
        return tf.reduce_sum(loss) / tf.maximum(num_objects, 1.0)

    def _apply_class_weights(self, values: tf.Tensor, target: AnchorTargets) -> tf.Tensor:
        """Multiply ``values`` [B, A] by the weight of each anchor's class."""
        return values if self.class_weights is None else values * tf.gather(self.class_weights, target.classes)

    def _class_loss(self, class_logits: tf.Tensor, target: AnchorTargets) -> tf.Tensor:
        if self._recipe.class_loss == "quality":
            return anchor_losses.quality_loss(class_logits, target.classes, target.quality)
        if self._recipe.class_loss == "focal":
            return anchor_losses.focal_loss(class_logits, target.classes)
        entropy = anchor_losses.cross_entropy(class_logits, target.classes)
        positive = target.classes > 0
        return tf.where(positive | anchor_losses.hard_negatives(entropy, positive), entropy, 0.0)

    def _box_loss(
        self, offsets: tf.Tensor, target_offsets: tf.Tensor, boxes: tf.Tensor, target: AnchorTargets
    ) -> tf.Tensor:
        if self._recipe.box_loss == "l1":
            return anchor_losses.l1_loss(offsets, target_offsets)
        smooth_l1 = anchor_losses.smooth_l1_loss(offsets, target_offsets, self._recipe.sigma)
        if self._recipe.box_loss == "smooth_l1":
            return smooth_l1
        # GIoU optimizes the overlap that AP measures; smooth L1 adds a gradient for boxes that do not overlap.
        return anchor_losses.giou_loss(boxes, target.boxes) * 2 + smooth_l1 * 0.1
