"""A teacher beside the labels: what it says, whom it may teach, and that a network learns from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.data.load import load_dataset  # noqa: E402 (after the check that TensorFlow is there)
from edge_ssd.data.source import DataSource  # noqa: E402
from edge_ssd.data.synthetic.generate import make_synthetic  # noqa: E402
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

NETWORK = tiny_ssd(["a", "b"], input_size=(64, 64), width=0.25)
RECIPE = Recipe(epochs=1, batch_size=4, precision="float32")


@pytest.fixture(scope="module")
def model() -> TinySSD:
    return TinySSD(NETWORK)


def pictures(count: int = 2) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3)), tf.float32)


def test_a_lesson_is_what_the_model_finds(model: TinySSD) -> None:
    lesson = Teacher(model, NETWORK)(pictures())
    logits, offsets = model(pictures(), training=False)
    np.testing.assert_allclose(lesson.probabilities, tf.nn.softmax(logits), atol=1e-6)
    expected = decode_offsets(tf.constant(NETWORK.anchors()), offsets, NETWORK.coding)
    np.testing.assert_allclose(lesson.boxes, expected, atol=1e-5)


def test_who_answers_as_the_teacher_loses_nothing_and_any_other_something(model: TinySSD) -> None:
    logits, offsets = model(pictures(), training=False)
    boxes = decode_offsets(tf.constant(NETWORK.anchors()), offsets, NETWORK.coding)
    lesson = TeacherOutputs(tf.nn.softmax(logits), boxes)
    np.testing.assert_allclose(distillation_loss(lesson, logits, boxes, 4.0), 0, atol=1e-5)
    other_scores = distillation_loss(lesson, logits + tf.constant([0.0, 1.0, 0.0]), boxes, 4.0)
    other_boxes = distillation_loss(lesson, logits, boxes + tf.constant([0.1, 0.0, 0.1, 0.0]), 4.0)
    assert np.all(other_scores > 0.01)
    assert np.all(other_boxes > 0.01)


def test_boxes_count_where_the_teacher_sees_an_object() -> None:
    boxes = tf.constant([[[0.1, 0.1, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9]]])
    lesson = TeacherOutputs(tf.constant([[[1.0, 0.0], [0.25, 0.75]]]), boxes)
    logits = tf.math.log(tf.maximum(lesson.probabilities, 1e-9))
    background, seen = distillation_loss(lesson, logits, boxes + 0.05, 4.0)[0].numpy()
    assert background == pytest.approx(0, abs=1e-5)
    assert seen > 0.1


@pytest.mark.parametrize("recipe", [RECIPE, book_recipe()], ids=["default", "book"])
def test_the_weight_scales_what_is_taught(recipe: Recipe, model: TinySSD) -> None:
    logits, offsets = model(pictures(), training=False)
    labels = tf.constant([[[0, 0.1, 0.1, 0.5, 0.5]], [[1, 0.3, 0.3, 0.9, 0.9]]], tf.float32)
    lesson = Teacher(TinySSD(NETWORK), NETWORK)(pictures())
    alone, once, thrice = (
        float(DetectionLoss(NETWORK, replace(recipe, teacher_weight=weight))(logits, offsets, labels, given)[0])
        for weight, given in ((1.0, None), (1.0, lesson), (3.0, lesson))
    )
    assert once > alone + 1e-3
    assert thrice - alone == pytest.approx(3 * (once - alone), rel=1e-3)


@pytest.mark.parametrize(
    ("student", "what"),
    [
        (tiny_ssd(["b", "a"], input_size=(64, 64)), "labels"),
        (tiny_ssd(["a", "b"], input_size=(96, 96)), "input size"),
        (tiny_ssd(["a", "b"], input_size=(64, 64), resize="letterbox"), "resize mode"),
        (tiny_ssd(["a", "b"], input_size=(64, 64), ratios=(1.0, 3.0, 0.5)), "anchors"),
    ],
)
def test_a_teacher_of_something_else_is_refused(student: Network, what: str, model: TinySSD) -> None:
    with pytest.raises(ModelError, match=f"the teacher's {what} must be the network's own"):
        Teacher(model, student)


def test_a_teacher_may_have_other_layers_and_another_input_scale(model: TinySSD) -> None:
    student = tiny_ssd(["a", "b"], input_size=(64, 64), down_sampling="stride", input_scale=1)
    assert Teacher(model, student)(pictures()).boxes.shape == (2, NETWORK.num_anchors, 4)


def test_a_network_comes_nearer_to_its_teacher_than_by_the_labels_alone(tmp_path: Path) -> None:
    make_synthetic(tmp_path / "data", num_train=16, num_val=4, seed=3)
    training, validation = (load_dataset(tmp_path / "data", split) for split in ("train", "val"))
    network = tiny_ssd(training.labels, input_size=(64, 64), width=0.25)
    save_tiny_ssd(TinySSD(network), tmp_path / "teacher.keras")
    recipe = replace(RECIPE, epochs=12, learning_rate=5e-3, teacher_weight=20.0)
    alone = RunConfig(network, recipe, DataSource(tmp_path / "data"))
    taught = replace(alone, teacher=tmp_path / "teacher.keras")
    images = tf.constant(load_images(training, network.input).images[:8])
    lesson = Teacher(load_tiny_ssd(tmp_path / "teacher.keras"), network)(images)
    apart = []
    for name, config in (("alone", alone), ("taught", taught)):
        student = load_tiny_ssd(train(config, training, validation, tmp_path / name))
        assert load_run(tmp_path / name) == config
        logits, offsets = student(images)
        boxes = decode_offsets(tf.constant(network.anchors()), offsets, network.coding)
        apart.append(float(tf.reduce_mean(distillation_loss(lesson, logits, boxes, 4.0))))
    assert apart[1] < apart[0] / 2
