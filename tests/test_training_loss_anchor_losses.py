"""edge_ssd.training.loss.anchor_losses, against hand calculation and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.training.loss import anchor_losses as losses  # noqa: E402 (after the check that TensorFlow is installed)


def test_cross_entropy_of_equal_logits_is_log_2() -> None:
    entropy = losses.cross_entropy(tf.zeros((1, 2, 2)), tf.constant([[0, 1]]))
    np.testing.assert_allclose(entropy, [[math.log(2)] * 2], rtol=1e-6)


@pytest.mark.parametrize(("gamma", "expected"), [(0, math.log(2)), (1, math.log(2) / 2), (2, math.log(2) / 4)])
def test_focal_loss_weights_by_error(gamma: float, expected: float) -> None:
    loss = losses.focal_loss(tf.zeros((1, 1, 2)), tf.constant([[1]]), gamma)
    np.testing.assert_allclose(loss, [[expected]], rtol=1e-5)


@pytest.mark.parametrize(
    ("sigma", "difference", "expected"),
    # The book's formula: (σx)²/2 inside 1/σ², |x| − 0.5/σ² outside.
    [(1, 0.5, 0.125), (1, 2, 1.5), (10, 0.005, 0.00125), (10, 1, 0.995), (0.5, 2, 0.5), (0.5, 6, 4)],
)
def test_smooth_l1_loss_equals_hand_calculation(sigma: float, difference: float, expected: float) -> None:
    offsets = tf.constant([[[difference, 0.0, 0.0, 0.0], [0.0, 0.0, -difference, 0.0]]])
    np.testing.assert_allclose(losses.smooth_l1_loss(offsets, tf.zeros((1, 2, 4)), sigma), [[expected] * 2], rtol=1e-5)


def test_l1_loss_sums_four_offsets() -> None:
    np.testing.assert_allclose(losses.l1_loss(tf.constant([[[1.0, -2.0, 3.0, -4.0]]]), tf.zeros((1, 1, 4))), [[10]])


def test_giou_loss_equals_hand_calculation() -> None:
    box = tf.constant([[0.0, 0, 2, 2]])
    others = tf.constant([[0.0, 0, 2, 2], [0, 0, 1, 2], [1, 0, 3, 2], [3, 0, 5, 2]])
    # Equal; half (hull = box); shifted by half (IoU 1/3, hull 6 = union); disjoint (IoU 0, hull 10, union 8).
    np.testing.assert_allclose(losses.giou_loss(box, others), [0, 0.5, 2 / 3, 1 + 0.2], rtol=1e-5)


def test_quality_loss_of_quality_0_and_1_equals_cross_entropy() -> None:
    logits = tf.constant(np.random.default_rng(0).normal(size=(2, 7, 4)), tf.float32)
    classes = tf.constant(np.random.default_rng(1).integers(0, 4, (2, 7)), tf.int32)
    full = losses.quality_loss(logits, classes, tf.ones((2, 7)))
    np.testing.assert_allclose(full, losses.cross_entropy(logits, classes), rtol=1e-5)
    none = losses.quality_loss(logits, classes, tf.zeros((2, 7)))
    np.testing.assert_allclose(none, losses.cross_entropy(logits, tf.zeros((2, 7), tf.int32)), rtol=1e-5)


def test_quality_loss_is_minimal_at_score_equal_to_quality() -> None:
    scores = np.linspace(0.05, 0.95, 19)
    logits = tf.constant(np.stack([np.zeros(19), np.log(scores / (1 - scores))], axis=-1)[None], tf.float32)
    loss = losses.quality_loss(logits, tf.ones((1, 19), tf.int32), tf.fill((1, 19), 0.7))
    assert scores[int(np.argmin(loss[0]))] == pytest.approx(0.7)


def test_hard_negatives_have_highest_loss_of_each_image() -> None:
    entropy = tf.constant([[9.0, 1, 5, 3, 7, 2], [1.0, 2, 3, 4, 5, 6]])
    positive = tf.constant([[True, False, False, False, False, False], [False] * 6])
    chosen = losses.hard_negatives(entropy, positive, ratio=2, minimum=1)
    # One positive: two negatives, the losses 7 and 5. No positive: the minimum of one, the loss 6.
    np.testing.assert_array_equal(chosen, [[0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1]])
    assert not np.any(chosen & positive)
