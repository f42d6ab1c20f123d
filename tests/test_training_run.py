"""Training end to end, small: the loop, interruption and resume, the folder that a run leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from edge_ssd.data.dataset import Dataset  # noqa: E402 (after the check that TensorFlow is there)
from edge_ssd.data.load import load_dataset  # noqa: E402
from edge_ssd.data.source import DataSource  # noqa: E402
from edge_ssd.data.splits import split_dataset  # noqa: E402
from edge_ssd.data.synthetic.generate import make_synthetic  # noqa: E402
from edge_ssd.errors import DataError, ModelError  # noqa: E402
from edge_ssd.evaluation.average_precision import AveragePrecision  # noqa: E402
from edge_ssd.evaluation.keras_predictor import KerasPredictor  # noqa: E402
from edge_ssd.network import tiny_ssd  # noqa: E402
from edge_ssd.training import run  # noqa: E402
from edge_ssd.training.history import HistoryRow, read_history  # noqa: E402
from edge_ssd.training.input.images import load_images  # noqa: E402
from edge_ssd.training.input.pipeline import training_batches  # noqa: E402
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd  # noqa: E402
from edge_ssd.training.recipe import Recipe, RecipeError, book_recipe  # noqa: E402
from edge_ssd.training.run import train  # noqa: E402
from edge_ssd.training.run_folder import RunConfig, load_run  # noqa: E402
from edge_ssd.training.trainer import Trainer, evaluate_images  # noqa: E402

NETWORK = tiny_ssd(["banana"], input_size=(64, 64), width=0.25)
QUICK = Recipe(epochs=2, batch_size=4, precision="float32", warmup_epochs=0.5, zoom=1.0, color=0.0)
CONFIG = RunConfig(NETWORK, QUICK, DataSource(Path("data")))


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    folder = tmp_path_factory.mktemp("synthetic")
    make_synthetic(folder, num_train=18, num_val=6, seed=3)
    return load_dataset(folder, "train"), load_dataset(folder, "val")


def test_an_interrupted_run_ends_as_an_uninterrupted_one(datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    training, validation = datasets
    whole = train(CONFIG, training, validation, tmp_path / "whole")

    class Interrupted(Exception):
        pass

    def interrupt(row: HistoryRow) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        train(CONFIG, training, validation, tmp_path / "parts", report=interrupt)
    parts = train(CONFIG, training, validation, tmp_path / "parts", resume=True)
    for expected, actual in zip(load_tiny_ssd(whole).weights, load_tiny_ssd(parts).weights, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4, err_msg=expected.path)
    assert [row.epoch for row in read_history(tmp_path / "parts" / "history.csv")] == [1, 2]
    assert load_run(tmp_path / "parts") == CONFIG
    for name in ("model.keras", "history.png", "run.json", "checkpoint.npz"):
        assert (tmp_path / "parts" / name).stat().st_size > 100, name


@pytest.mark.parametrize(
    "change",
    [
        {"assignment": "fixed", "class_loss": "hard_negative", "box_loss": "smooth_l1"},
        {"assignment": "fixed", "class_loss": "focal", "box_loss": "l1"},
        {"vertical_flip": True, "zoom": 1.3, "color": 0.2},
        {"precision": "mixed_bfloat16", "ema_decay": 0.0},
    ],
    ids=lambda change: ",".join(map(str, change.values())),
)
def test_every_recipe_learns(change: dict[str, object], datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    recipe = replace(QUICK, epochs=10, learning_rate=5e-3, **change)
    trainer = Trainer(NETWORK, recipe, tmp_path / "checkpoint.npz")
    pictures = load_images(datasets[0], NETWORK.input)
    losses = [trainer.fit_epoch(pictures).loss for _ in range(recipe.epochs)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_books_recipe_learns_what_the_book_measures(datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    network = tiny_ssd(["banana"], input_size=(64, 64), width=0.25, input_scale=1)
    trainer = Trainer(network, replace(book_recipe(), batch_size=4), tmp_path / "checkpoint.npz")
    pictures = load_images(datasets[0], network.input)
    results = [trainer.fit_epoch(pictures) for _ in range(6)]
    assert results[-1].class_error < results[0].class_error
    assert results[-1].class_error < 0.1
    assert trainer.ema_model is trainer.model


def test_a_detector_can_learn_its_pictures_by_heart(datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    """From labels to AP: an error in targets, coding, order or placement anywhere would keep AP at nothing."""
    few, _ = split_dataset(datasets[0], 0.5, seed=0)
    network = tiny_ssd(["banana"], input_size=(96, 96), width=0.5)
    pictures = load_images(few, network.input)
    recipe = replace(QUICK, epochs=60, learning_rate=4e-3, flip=False, ema_decay=0.9)
    trainer = Trainer(network, recipe, tmp_path / "checkpoint.npz")
    for _ in range(recipe.epochs):
        trainer.fit_epoch(pictures)
    assert evaluate_images(KerasPredictor(trainer.ema_model), network, few, pictures).ap50 > 0.9


def test_target_loss_and_metrics_are_in_the_graph(datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    trainer = Trainer(NETWORK, QUICK, tmp_path / "checkpoint.npz")
    pictures = load_images(datasets[0], NETWORK.input)
    trainer.fit_epoch(pictures)
    images, labels = next(iter(training_batches(pictures, QUICK, 0)))
    graph = trainer.train_step.get_concrete_function(images, labels).graph
    kinds = {operation.type for operation in graph.get_operations()}
    for function in graph._functions.values():
        kinds |= {node.op for node in function.cached_definition.node_def}
    assert "Conv2D" in kinds
    assert not {kind for kind in kinds if "PyFunc" in kind}


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own(datasets: tuple[Dataset, Dataset]) -> None:
    pictures = load_images(datasets[0], NETWORK.input)
    recipe = replace(QUICK, flip=False, batch_size=6)

    def order(epoch: int) -> list[int]:
        shown = np.concatenate([images for images, _ in training_batches(pictures, recipe, epoch)])
        return [int(np.abs(pictures.images - image).sum(axis=(1, 2, 3)).argmin()) for image in shown]

    assert sorted(order(0)) == list(range(18))
    assert order(0) == order(0)
    assert order(0) != order(1)


def test_labels_lie_in_the_input_as_the_pictures_do(datasets: tuple[Dataset, Dataset]) -> None:
    pictures = load_images(datasets[0], tiny_ssd(["banana"], input_size=(64, 96), resize="letterbox").input)
    sample = datasets[0].samples[0]
    # 256×256 in 64×96: scaled by a quarter, 16 pixels of grey left and right.
    expected = (sample.boxes_xyxy / 4 + [16, 0, 16, 0]) / [96, 64, 96, 64]
    np.testing.assert_allclose(pictures.labels[0, : len(expected), 1:], expected, atol=1e-6)


class TestBadInput:
    def test_a_folder_that_holds_a_run(self, datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        (tmp_path / "run.json").write_text("{}")
        with pytest.raises(DataError, match="--resume"):
            train(CONFIG, *datasets, tmp_path)

    def test_nothing_to_resume(self, datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no training run to resume"):
            train(CONFIG, *datasets, tmp_path, resume=True)

    def test_labels_of_another_network(self, datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        with pytest.raises(DataError, match="are not the network's"):
            train(replace(CONFIG, network=tiny_ssd(["apple"], input_size=(64, 64))), *datasets, tmp_path)

    def test_a_learning_rate_that_diverges(self, datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
        recipe = replace(book_recipe(), learning_rate=1e9, batch_size=4)
        trainer = Trainer(NETWORK, recipe, tmp_path / "checkpoint.npz")
        pictures = load_images(datasets[0], NETWORK.input)
        with pytest.raises(ModelError, match="lower the learning rate"):
            trainer.fit_epoch(pictures)

    @pytest.mark.parametrize(
        "change",
        [
            {"epochs": 0},
            {"learning_rate": -1.0},
            {"box_loss": "l2"},
            {"assignment": "fixed"},
            {"ema_decay": 1.0},
            {"seed": -1},
            {"seed": 2**32},
            {"weight_decay": float("nan")},
            {"warmup_epochs": -1.0},
            {"patience": -1},
            {"patience": 1.5},
            {"class_weights": "balance"},
            {"class_weights": "fork=two"},
            {"class_weights": "fork=0"},
            {"class_weights": "=2"},
            {"class_weights": "fork=1,"},
        ],
    )
    def test_recipes_that_contradict_themselves(self, change: dict[str, object]) -> None:
        with pytest.raises(RecipeError, match=next(iter(change)).split("_")[0]):
            Recipe(**change)


def test_fine_tuning_starts_from_the_given_weights(datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    first = train(replace(CONFIG, recipe=replace(QUICK, epochs=1)), *datasets, tmp_path / "first")
    relabelled = [replace(dataset, labels=("fruit", "other")) for dataset in datasets]
    network = tiny_ssd(["fruit", "other"], input_size=(64, 64), width=0.25)
    still = replace(QUICK, epochs=1, learning_rate=1e-12, weight_decay=0.0)
    second = train(
        RunConfig(network, still, DataSource(Path("data"))), *relabelled, tmp_path / "second", start_from=first
    )
    before, after = load_tiny_ssd(first), load_tiny_ssd(second)
    np.testing.assert_allclose(after.blocks[0].weights[0], before.blocks[0].weights[0], atol=1e-6)
    np.testing.assert_allclose(after.bbox_predictors[0].kernel, before.bbox_predictors[0].kernel, atol=1e-6)
    assert after.cls_predictors[0].kernel.shape[-1] == 12


def test_early_stopping_keeps_the_best_epochs_model(
    datasets: tuple[Dataset, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([0.5, 0.6, 0.4, 0.6, 0.9])

    def measure(*_: object) -> AveragePrecision:
        ap = next(measured)
        return AveragePrecision(ap, ap, ap, {"banana": ap}, 6, 6)

    monkeypatch.setattr(run, "evaluate_images", measure)
    config = replace(CONFIG, recipe=replace(QUICK, epochs=9, patience=2))
    kept: list[bytes] = []
    train(config, *datasets, tmp_path, report=lambda row: kept.append((tmp_path / "model.keras").read_bytes()))
    # The second epoch was the best, and the two after it were no better.
    assert [row.epoch for row in read_history(tmp_path / "history.csv")] == [1, 2, 3, 4]
    assert kept[0] != kept[1]
    assert kept[1] == kept[2] == kept[3]
    # A run that stopped early has nothing left to do.
    train(config, *datasets, tmp_path, resume=True)
    assert len(read_history(tmp_path / "history.csv")) == 4
    assert (tmp_path / "model.keras").read_bytes() == kept[1]


def test_a_run_that_died_before_its_model_was_written_makes_it_anew(
    datasets: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    model = train(replace(CONFIG, recipe=replace(QUICK, epochs=1)), *datasets, tmp_path)
    before = load_tiny_ssd(model).get_weights()
    model.unlink()
    train(replace(CONFIG, recipe=replace(QUICK, epochs=1)), *datasets, tmp_path, resume=True)
    for expected, actual in zip(before, load_tiny_ssd(model).get_weights(), strict=True):
        np.testing.assert_array_equal(actual, expected)
