"""Knowledge distillation: a trained network's scores and boxes as additional targets.

The teacher gives a target for every anchor, the labels only for each object. Both networks must have the same
anchors. Source: Hinton et al., 2015, "Distilling the Knowledge in a Neural Network".
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from edge_ssd.errors import ModelError
from edge_ssd.network import Network
from edge_ssd.training.box_ops import decode_offsets
from edge_ssd.training.loss.anchor_losses import giou_loss
from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["Teacher", "TeacherOutputs", "distillation_loss"]


class TeacherOutputs(NamedTuple):
    """Predictions of a teacher for a batch."""

    probabilities: tf.Tensor
    """float32 [B, A, q+1], background first."""
    boxes: tf.Tensor
    """float32 [B, A, 4], xyxy."""


class Teacher:
    """Trained model that computes distillation targets for a ``student``, in Keras's current dtype policy.

    Raises:
        ModelError: labels, input or anchors of the two networks differ.
    """

    def __init__(self, model: TinySSD, student: Network) -> None:
        teacher = model.network
        equal = {
            "labels": student.labels == teacher.labels,
            "input size": student.input.size == teacher.input.size,
            "resize mode": student.input.resize == teacher.input.resize,
            "anchors": student.levels == teacher.levels,
        }
        for name, is_equal in equal.items():
            if not is_equal:
                raise ModelError(f"the teacher's {name} must be the network's own; choose another teacher")
        # A new model in the current dtype policy: a loaded model computes in float32.
        self._model = TinySSD(teacher)
        self._model.set_weights(model.get_weights())
        self._anchors = tf.constant(teacher.anchors())

    def __call__(self, images: tf.Tensor) -> TeacherOutputs:
        """Return the teacher's predictions for images [B, H, W, 3]."""
        class_logits, offsets = self._model(images, training=False)
        boxes = decode_offsets(self._anchors, offsets, self._model.network.coding)
        return TeacherOutputs(tf.stop_gradient(tf.nn.softmax(class_logits)), tf.stop_gradient(boxes))


def distillation_loss(
    teacher: TeacherOutputs, class_logits: tf.Tensor, boxes: tf.Tensor, box_weight: float
) -> tf.Tensor:
    """Return the distance [B, A] of class logits [B, A, q+1] and boxes [B, A, 4] to the teacher's.

    It is the Kullback–Leibler divergence of the classes plus 2 · ``box_weight`` times the GIoU loss of the boxes, which
    is weighted by the teacher's probability of an object.
    """
    target = teacher.probabilities
    cross_entropy = -tf.reduce_sum(target * tf.nn.log_softmax(class_logits), axis=-1)
    target_entropy = -tf.reduce_sum(tf.math.xlogy(target, target), axis=-1)
    return cross_entropy - target_entropy + box_weight * (1 - target[..., 0]) * 2 * giou_loss(boxes, teacher.boxes)
