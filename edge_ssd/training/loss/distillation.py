"""What a trained network teaches another one: its scores and boxes, to be learned beside the labels.

The labels say where an object is; a teacher says for every anchor how well it does. Both networks must have the same
anchors. Source of the idea: Hinton et al., 2015, "Distilling the Knowledge in a Neural Network".
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from edge_ssd.errors import ModelError
from edge_ssd.network import Network
from edge_ssd.training.loss.functions import giou_loss
from edge_ssd.training.loss.targets import decode_offsets
from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["Teacher", "TeacherOutputs", "distillation_loss"]


class TeacherOutputs(NamedTuple):
    """What a teacher finds in a batch."""

    probabilities: tf.Tensor
    """float32 [B, A, q+1]."""
    boxes: tf.Tensor
    """float32 [B, A, 4], xyxy."""


class Teacher:
    """A trained model, for a network that is to learn from it; it computes in Keras's present precision.

    Raises :class:`ModelError` where the two do not speak of the same classes, anchors or pictures.
    """

    def __init__(self, model: TinySSD, student: Network) -> None:
        ours, theirs = student, model.network
        alike = {
            "labels": ours.labels == theirs.labels,
            "input size": ours.input.size == theirs.input.size,
            "resize mode": ours.input.resize == theirs.input.resize,
            "anchors": ours.levels == theirs.levels,
        }
        for what, same in alike.items():
            if not same:
                raise ModelError(f"the teacher's {what} must be the network's own; take another teacher")
        # Built anew for the precision: a loaded model is of float32.
        self._model = TinySSD(theirs)
        self._model.set_weights(model.get_weights())
        self._anchors = tf.constant(theirs.anchors())

    def __call__(self, images: tf.Tensor) -> TeacherOutputs:
        """What the teacher finds in pictures [B, H, W, 3]."""
        class_logits, offsets = self._model(images, training=False)
        boxes = decode_offsets(self._anchors, offsets, self._model.network.coding)
        return TeacherOutputs(tf.stop_gradient(tf.nn.softmax(class_logits)), tf.stop_gradient(boxes))


def distillation_loss(
    lesson: TeacherOutputs, class_logits: tf.Tensor, boxes: tf.Tensor, box_weight: float
) -> tf.Tensor:
    """How far scores and boxes are from the teacher's, [B, A], for class logits [B, A, q+1] and boxes [B, A, 4].

    Kullback-Leibler divergence of the classes, and GIoU of the boxes as far as the teacher sees an object there.
    """
    probable = lesson.probabilities
    entropy = -tf.reduce_sum(probable * tf.nn.log_softmax(class_logits), axis=-1)
    least = -tf.reduce_sum(tf.math.xlogy(probable, probable), axis=-1)
    return entropy - least + box_weight * (1 - probable[..., 0]) * 2 * giou_loss(boxes, lesson.boxes)
