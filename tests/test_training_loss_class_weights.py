"""edge_ssd.training.loss.class_weights, and the effect of class weights on the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.data.dataset import Dataset, Sample  # noqa: E402 (after the check that TensorFlow is installed)
from edge_ssd.network import tiny_ssd  # noqa: E402
from edge_ssd.training.loss.class_weights import class_weights  # noqa: E402
from edge_ssd.training.loss.detection_loss import DetectionLoss  # noqa: E402
from edge_ssd.training.recipe import Recipe, RecipeError, book_recipe  # noqa: E402

LABELS = ("fork", "knife", "spoon", "ladle")


def dataset_of(*class_ids: int) -> Dataset:
    samples = tuple(Sample(Path(f"{i}.png"), [[0, 0, 9, 9]], [class_id]) for i, class_id in enumerate(class_ids))
    return Dataset(Path("cutlery"), LABELS, samples, "test")


def test_balanced_class_weights_equal_hand_calculation() -> None:
    # 8 objects of 3 classes: 8/(3·4), 8/(3·3), 8/(3·1); no ladle.
    weights = class_weights(Recipe(class_weights="balanced"), dataset_of(0, 0, 0, 0, 1, 1, 1, 2))
    np.testing.assert_allclose(weights, [2 / 3, 8 / 9, 8 / 3, 1], rtol=1e-6)
    assert (4 * weights[0] + 3 * weights[1] + weights[2]) / 8 == pytest.approx(1)


def test_named_class_weights_are_applied() -> None:
    recipe = Recipe(class_weights="fork=2, ladle=0.5")
    np.testing.assert_array_equal(class_weights(recipe, dataset_of(0)), [2, 1, 1, 0.5])
    assert class_weights(Recipe(), dataset_of(0)) is None


def test_class_weights_reject_unknown_class() -> None:
    with pytest.raises(RecipeError, match="name spork, but the classes are fork, knife"):
        class_weights(Recipe(class_weights="spork=2"), dataset_of(0))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(assignment="fixed", class_loss="hard_negative", box_loss="smooth_l1"),
        Recipe(assignment="fixed", class_loss="focal", box_loss="l1"),
        book_recipe(),
    ],
    ids=lambda recipe: recipe.class_loss,
)
class TestDetectionLoss:
    NETWORK = tiny_ssd(["fork", "knife"], input_size=(64, 64), width=0.25)

    def loss(self, recipe: Recipe, weights: list[float] | None = None, order: Sequence[int] = (0, 1)) -> float:
        """Return the loss of an image with a fork and a knife if the network predicts a fork for both.

        ``order`` are the label rows: 0 is the fork, 1 the knife, 2 padding.
        """
        boxes = np.array([[0.1, 0.1, 0.4, 0.4], [0.6, 0.6, 0.9, 0.9]], np.float32)
        centers = (self.NETWORK.anchors()[:, :2] + self.NETWORK.anchors()[:, 2:]) / 2
        in_object = ((centers[:, None] > boxes[:, :2]) & (centers[:, None] < boxes[:, 2:])).all(axis=2).any(axis=1)
        logits = np.where(in_object[:, None], [0.0, 5.0, 0.0], [9.0, 0.0, 0.0]).astype(np.float32)[None]
        rows = [[0, *boxes[0]], [1, *boxes[1]], [-1] * 5]
        labels = tf.constant([[rows[i] for i in order]], tf.float32)
        detection_loss = DetectionLoss(
            self.NETWORK,
            replace(recipe, box_weight=1e-6),  # the class loss only
            None if weights is None else np.array(weights, np.float32),
        )
        return float(detection_loss(tf.constant(logits), tf.zeros((1, self.NETWORK.num_anchors, 4)), labels)[0])

    def test_padding_keeps_loss(self, recipe: Recipe) -> None:
        assert self.loss(recipe, order=[2, 0, 2, 2, 1, 2]) == pytest.approx(self.loss(recipe), rel=1e-6)

    def test_class_weights_of_one_keep_loss(self, recipe: Recipe) -> None:
        assert self.loss(recipe, [1, 1]) == pytest.approx(self.loss(recipe, None), rel=1e-6)

    def test_class_weight_scales_loss_of_its_class(self, recipe: Recipe) -> None:
        # The fork is predicted correctly, the knife is not.
        assert self.loss(recipe, [9, 1]) < self.loss(recipe, [1, 9])


def test_trainer_uses_class_weights(tmp_path: Path) -> None:
    from edge_ssd.training.trainer import Trainer

    network = tiny_ssd(LABELS[:2], input_size=(64, 64), width=0.25)
    recipe = replace(Recipe(precision="float32"), class_weights="fork=2")
    trainer = Trainer(network, recipe, tmp_path / "checkpoint.npz", np.array([2, 1], np.float32))
    np.testing.assert_array_equal(trainer.loss.class_weights, [1, 2, 1])
