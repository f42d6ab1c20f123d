"""edge_ssd.training.loss.distillation: teacher outputs, incompatible teachers, and the effect on training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_training import FAST_LOSS

tf = pytest.importorskip("tensorflow")

from edge_ssd.data.load import load_dataset  # noqa: E402 (after the check that TensorFlow is installed)
from edge_ssd.data.source import DataSource  # noqa: E402
from edge_ssd.errors import ModelError  # noqa: E402
from edge_ssd.network import Network, tiny_ssd  # noqa: E402
from edge_ssd.training.box_ops import decode_offsets  # noqa: E402
from edge_ssd.training.input.images import load_images  # noqa: E402
from edge_ssd.training.loss.detection_loss import DetectionLoss  # noqa: E402
from edge_ssd.training.loss.distillation import Teacher, TeacherOutputs, distillation_loss  # noqa: E402
from edge_ssd.training.model.tiny_ssd import TinySSD, load_tiny_ssd, save_tiny_ssd  # noqa: E402
from edge_ssd.training.recipe import Recipe, book_recipe  # noqa: E402
from edge_ssd.training.run import train  # noqa: E402
from edge_ssd.training.run_folder import RunConfig, load_run  # noqa: E402

SMALL = {"input_size": (64, 64), "base_channels": (8, 8), "block_channels": (8,)}
NETWORK = tiny_ssd(["a", "b"], **SMALL)
RECIPE = Recipe(epochs=1, batch_size=4, precision="float32", zoom=1.0, color=0.0)


@pytest.fixture(scope="module")
def model() -> TinySSD:
    return TinySSD(NETWORK)


def random_images(count: int = 2) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3)), tf.float32)


def test_teacher_returns_probabilities_and_boxes(model: TinySSD) -> None:
    outputs = Teacher(model, NETWORK)(random_images())
    logits, offsets = model(random_images(), training=False)
    np.testing.assert_allclose(outputs.probabilities, tf.nn.softmax(logits), atol=1e-6)
    expected = decode_offsets(tf.constant(NETWORK.anchors()), offsets, NETWORK.coding)
    np.testing.assert_allclose(outputs.boxes, expected, atol=1e-5)


def test_distillation_loss_is_zero_for_teacher_outputs_only(model: TinySSD) -> None:
    logits, offsets = model(random_images(), training=False)
    boxes = decode_offsets(tf.constant(NETWORK.anchors()), offsets, NETWORK.coding)
    outputs = TeacherOutputs(tf.nn.softmax(logits), boxes)
    np.testing.assert_allclose(distillation_loss(outputs, logits, boxes, 4.0), 0, atol=1e-5)
    other_scores = distillation_loss(outputs, logits + tf.constant([0.0, 1.0, 0.0]), boxes, 4.0)
    other_boxes = distillation_loss(outputs, logits, boxes + tf.constant([0.1, 0.0, 0.1, 0.0]), 4.0)
    assert np.all(other_scores > 0.01)
    assert np.all(other_boxes > 0.01)


def test_distillation_box_loss_is_weighted_by_teacher_score() -> None:
    boxes = tf.constant([[[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9]]])
    outputs = TeacherOutputs(tf.constant([[[1.0, 0.0], [0.25, 0.75]]]), boxes)
    logits = tf.math.log(tf.maximum(outputs.probabilities, 1e-9))
    background, foreground = distillation_loss(outputs, logits, boxes + 0.05, 4.0)[0].numpy()
    assert background == pytest.approx(0, abs=1e-5)
    assert foreground > 0.1


@pytest.mark.parametrize("recipe", [RECIPE, book_recipe()], ids=["default", "book"])
def test_teacher_weight_scales_distillation_loss(recipe: Recipe, model: TinySSD) -> None:
    logits, offsets = model(random_images(), training=False)
    labels = tf.constant([[[0, 0.1, 0.1, 0.5, 0.5]], [[1, 0.3, 0.3, 0.9, 0.9]]], tf.float32)
    outputs = Teacher(TinySSD(NETWORK), NETWORK)(random_images())
    without, once, thrice = (
        float(DetectionLoss(NETWORK, replace(recipe, teacher_weight=weight))(logits, offsets, labels, given)[0])
        for weight, given in ((1.0, None), (1.0, outputs), (3.0, outputs))
    )
    assert once > without + 1e-3
    assert thrice - without == pytest.approx(3 * (once - without), rel=1e-3)


@pytest.mark.parametrize(
    ("student", "what"),
    [
        (tiny_ssd(["b", "a"], **SMALL), "labels"),
        (tiny_ssd(["a", "b"], **{**SMALL, "input_size": (96, 96)}), "input size"),
        (tiny_ssd(["a", "b"], **SMALL, resize="letterbox"), "resize mode"),
        (tiny_ssd(["a", "b"], **SMALL, ratios=(1.0, 3.0, 0.5)), "anchors"),
    ],
)
def test_teacher_rejects_incompatible_student(student: Network, what: str, model: TinySSD) -> None:
    with pytest.raises(ModelError, match=f"the teacher's {what} must be the network's own"):
        Teacher(model, student)


def test_teacher_accepts_student_of_other_layers_and_input_scale(model: TinySSD) -> None:
    student = tiny_ssd(["a", "b"], **SMALL, down_sampling="stride", input_scale=1)
    assert Teacher(model, student)(random_images()).boxes.shape == (2, NETWORK.num_anchors, 4)


def test_distillation_approaches_teacher(bananas: Path, tmp_path: Path) -> None:
    training, validation = (load_dataset(bananas, split) for split in ("train", "val"))
    training = training.with_samples(training.samples * 6)  # few epochs: each takes time apart from its steps
    network = tiny_ssd(training.labels, **SMALL)
    save_tiny_ssd(TinySSD(network), tmp_path / "teacher.keras")
    recipe = replace(RECIPE, epochs=2, learning_rate=5e-3, teacher_weight=20.0, **FAST_LOSS)
    without = RunConfig(network, recipe, DataSource(bananas))
    distilled = replace(without, teacher=tmp_path / "teacher.keras")
    images = tf.constant(load_images(training, network.input).images[:8])
    outputs = Teacher(load_tiny_ssd(tmp_path / "teacher.keras"), network)(images)
    losses = []
    for name, config in (("without", without), ("distilled", distilled)):
        student = load_tiny_ssd(train(config, training, validation, tmp_path / name))
        assert load_run(tmp_path / name) == replace(config, start="random weights")
        logits, offsets = student(images)
        boxes = decode_offsets(tf.constant(network.anchors()), offsets, network.coding)
        losses.append(float(tf.reduce_mean(distillation_loss(outputs, logits, boxes, 4.0))))
    assert losses[1] < losses[0] / 2
