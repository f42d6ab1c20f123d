"""edge_ssd.training.run and trainer: small runs end to end, their resume, and the files of their folder."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_training import FAST, FAST_LOSS, NETWORK, RECIPE, TrainedRun

tf = pytest.importorskip("tensorflow")

from edge_ssd.data.dataset import Dataset  # noqa: E402 (after the check that TensorFlow is installed)
from edge_ssd.data.held_out import HeldOut  # noqa: E402
from edge_ssd.data.splits import split_dataset  # noqa: E402
from edge_ssd.errors import DataError, ImageError, ModelError, SettingError  # noqa: E402
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
from edge_ssd.training.run_folder import load_run  # noqa: E402
from edge_ssd.training.trainer import Trainer, evaluate_images  # noqa: E402


@contextmanager
def max_file_size(num_bytes: int) -> Iterator[None]:
    """Limit the size of files, to simulate a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def state_precisions(monkeypatch: pytest.MonkeyPatch, *precisions: float) -> None:
    """Let the validations of a run have these average precisions, one an epoch."""
    stated = iter(precisions)

    def measure(*_: object) -> AveragePrecision:
        ap = next(stated)
        return AveragePrecision(ap, ap, ap, {"banana": ap}, 6, 6)

    monkeypatch.setattr(run, "evaluate_images", measure)


def epochs_of(folder: Path) -> list[int]:
    return [row.epoch for row in read_history(folder / "history.csv")]


def test_run_resumed_after_full_disk_equals_uninterrupted_run(trained_run: TrainedRun, tmp_path: Path) -> None:
    config, datasets, finished, after_first_epoch = trained_run
    resumed = tmp_path / "resumed"
    shutil.copytree(after_first_epoch, resumed)
    assert epochs_of(resumed) == [1]
    files = {path.name for path in resumed.iterdir()}
    sizes = {path.name: path.stat().st_size for path in finished.iterdir()}
    before = (resumed / "checkpoint.npz").read_bytes()
    # A resume writes the model from the checkpoint, then trains, then writes history and checkpoint.
    for name, limit in (
        ("model.keras", 2000),
        ("checkpoint.npz", max(sizes["model.keras"], sizes["history.png"]) + 9000),
    ):
        with max_file_size(limit), pytest.raises(OSError, match=name) as caught:
            train(config, *datasets, resumed, resume=True)
        assert caught.value.filename == str(resumed / name)
        assert (resumed / "checkpoint.npz").read_bytes() == before
        load_tiny_ssd(resumed / "model.keras")
        assert {path.name for path in resumed.iterdir()} - {"history.png"} == files
    model = train(config, *datasets, resumed, resume=True)
    for expected, actual in zip(
        load_tiny_ssd(finished / "model.keras").weights, load_tiny_ssd(model).weights, strict=True
    ):
        np.testing.assert_allclose(actual, expected, atol=1e-4, err_msg=expected.path)
    assert epochs_of(resumed) == [1, 2]
    assert load_run(resumed) == config
    for name in ("model.keras", "history.png", "run.json", "checkpoint.npz"):
        assert (resumed / name).stat().st_size > 100, name


def test_run_with_all_augmentations_resumes_like_an_uninterrupted_one(trained_run: TrainedRun, tmp_path: Path) -> None:
    training, validation = trained_run.datasets
    changes = {"mosaic": 0.5, "copy_paste": 0.8, "hide_cut": True, "zoom": 1.5, "color": 0.2, "background_share": 0.25}
    recipe = replace(trained_run.config.recipe, **changes, **FAST)
    config = replace(trained_run.config, recipe=recipe, background=(tmp_path,))
    background = validation.with_samples(
        tuple(replace(sample, boxes_xyxy=np.empty((0, 4)), class_ids=np.empty(0)) for sample in validation.samples)
    )
    finished, resumed = tmp_path / "finished", tmp_path / "resumed"

    def copy_first_epoch(row: HistoryRow) -> None:
        if not resumed.exists():
            shutil.copytree(finished, resumed)

    train(config, training, validation, finished, background=background, report=copy_first_epoch)
    assert load_run(resumed) == replace(config, start="random weights")
    train(config, training, validation, resumed, background=background, resume=True)
    models = (load_tiny_ssd(folder / "model.keras") for folder in (finished, resumed))
    for expected, actual in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4, err_msg=expected.path)


def test_model_of_a_dataset_with_splits_holds_out_nothing(trained_run: TrainedRun) -> None:
    assert load_tiny_ssd(trained_run.folder / "model.keras").held_out == HeldOut()


def test_resume_writes_model_that_a_kill_prevented(trained_run: TrainedRun, tmp_path: Path) -> None:
    config, datasets, finished, _ = trained_run
    copy = shutil.copytree(finished, tmp_path / "copy")
    (copy / "model.keras").unlink()
    train(config, *datasets, copy, resume=True)
    for expected, actual in zip(
        load_tiny_ssd(finished / "model.keras").get_weights(),
        load_tiny_ssd(copy / "model.keras").get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(actual, expected)


def test_image_damaged_during_training_is_named_and_run_resumes(trained_run: TrainedRun, tmp_path: Path) -> None:
    config, (training, validation), finished, _ = trained_run
    damaged = shutil.copy(training.samples[5].path, tmp_path)
    samples = list(training.samples)
    samples[5] = replace(samples[5], path=Path(damaged))
    training, run_folder = training.with_samples(tuple(samples)), tmp_path / "run"
    content = Path(damaged).read_bytes()

    def damage(row: HistoryRow) -> None:
        Path(damaged).write_bytes(content[:300])

    with pytest.raises(ImageError) as caught:
        train(config, training, validation, run_folder, report=damage, cache="none")
    assert str(damaged) in str(caught.value)
    assert "1 finished epoch is saved: continue with --resume" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert epochs_of(run_folder) == [1]
    Path(damaged).write_bytes(content)
    train(config, training, validation, run_folder, resume=True, cache="none")
    rows, cached = (read_history(folder / "history.csv") for folder in (run_folder, finished))
    assert [row.epoch for row in rows] == [1, 2]
    # Images decoded every epoch equal those cached in memory.
    np.testing.assert_allclose([row.loss for row in rows], [row.loss for row in cached], rtol=1e-3)
    assert all(0 <= row.waiting <= 1 for row in rows)


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
def test_recipe_learns_in_one_graph(change: dict[str, object], trained_run: TrainedRun, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=4, learning_rate=5e-3, **change)
    trainer = Trainer(NETWORK, recipe, tmp_path / "checkpoint.npz")
    # An epoch shows each image three times: it takes time apart from its steps.
    training = trained_run.datasets[0]
    images = load_images(training.with_samples(training.samples * 3), NETWORK.input)
    losses = [trainer.fit_epoch(images).loss for _ in range(recipe.epochs)]
    assert losses[-1] < 0.8 * losses[0]
    # Targets, loss and metrics are in the graph.
    graph = trainer.train_step.get_concrete_function(*next(iter(training_batches(images, recipe, range(1))))).graph
    kinds = {operation.type for operation in graph.get_operations()}
    for function in graph._functions.values():
        kinds |= {node.op for node in function.cached_definition.node_def}
    assert "Conv2D" in kinds
    assert not {kind for kind in kinds if "PyFunc" in kind}


def test_book_recipe_reduces_class_error(trained_run: TrainedRun, tmp_path: Path) -> None:
    network = replace(NETWORK, input=replace(NETWORK.input, scale=1))
    trainer = Trainer(network, replace(book_recipe(), batch_size=4), tmp_path / "checkpoint.npz")
    images = load_images(trained_run.datasets[0], network.input)
    results = [trainer.fit_epoch(images) for _ in range(6)]
    assert results[-1].class_error < results[0].class_error
    assert results[-1].class_error < 0.1
    assert trainer.ema_model is trainer.model


def test_detector_overfits_eight_images(trained_run: TrainedRun, tmp_path: Path) -> None:
    """From labels to AP: an error in targets, box coding, anchor order or resizing would keep AP near 0."""
    eight, _ = split_dataset(trained_run.datasets[0], 0.5, seed=0)
    network = tiny_ssd(["banana"], input_size=(96, 96), width=0.5)
    # One epoch shows each image ten times: an epoch takes time apart from its steps.
    images = load_images(eight.with_samples(eight.samples * 10), network.input)
    recipe = replace(RECIPE, epochs=6, learning_rate=4e-3, flip=False, ema_decay=0.9)
    trainer = Trainer(network, recipe, tmp_path / "checkpoint.npz")
    for _ in range(recipe.epochs):
        trainer.fit_epoch(images)
    images = load_images(eight, network.input)
    assert evaluate_images(KerasPredictor(trainer.ema_model), network, eight, images).ap50 > 0.9


def test_epoch_contains_every_image_once_in_seeded_order(trained_run: TrainedRun) -> None:
    images = load_images(trained_run.datasets[0], NETWORK.input)
    recipe = replace(RECIPE, flip=False)

    def order(epoch: int) -> list[int]:
        epoch_images = np.concatenate([batch for batch, _ in training_batches(images, recipe, range(epoch, epoch + 1))])
        return [int(np.abs(images.images - image).sum(axis=(1, 2, 3)).argmin()) for image in epoch_images]

    assert sorted(order(0)) == list(range(16))
    assert order(0) == order(0)
    assert order(0) != order(1)


def test_labels_are_letterboxed_like_images(trained_run: TrainedRun) -> None:
    training = trained_run.datasets[0]
    images = load_images(training, tiny_ssd(["banana"], input_size=(64, 96), resize="letterbox").input)
    # 256×256 in 64×96: scaled by a quarter, 16 pixels of gray left and right.
    expected = (training.samples[0].boxes_xyxy / 4 + [16, 0, 16, 0]) / [96, 64, 96, 64]
    np.testing.assert_allclose(images.labels[0, : len(expected), 1:], expected, atol=1e-6)


class TestInvalidInput:
    def test_train_rejects_folder_with_run(self, trained_run: TrainedRun, tmp_path: Path) -> None:
        (tmp_path / "run.json").write_text("{}")
        with pytest.raises(DataError, match="--resume"):
            train(trained_run.config, *trained_run.datasets, tmp_path)

    def test_resume_rejects_folder_without_run(self, trained_run: TrainedRun, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no training run to resume"):
            train(trained_run.config, *trained_run.datasets, tmp_path, resume=True)

    def test_train_rejects_labels_of_other_network(self, trained_run: TrainedRun, tmp_path: Path) -> None:
        config = replace(trained_run.config, network=tiny_ssd(["apple"], input_size=(64, 64)))
        with pytest.raises(DataError, match="are not the network's"):
            train(config, *trained_run.datasets, tmp_path)

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
            {"trunk_rate": 1.5},
            {"class_weights": "balance"},
            {"class_weights": "fork=two"},
            {"class_weights": "fork=0"},
            {"class_weights": "=2"},
            {"class_weights": "fork=1,"},
        ],
    )
    def test_recipe_rejects_invalid_values(self, change: dict[str, object]) -> None:
        with pytest.raises(RecipeError, match=next(iter(change)).split("_")[0]):
            Recipe(**change)


def test_train_starts_from_weights_of_another_model(trained_run: TrainedRun, tmp_path: Path) -> None:
    first = trained_run.folder / "model.keras"
    relabeled: list[Dataset] = [replace(dataset, labels=("fruit", "other")) for dataset in trained_run.datasets]
    network = replace(NETWORK, labels=("fruit", "other"))
    recipe = replace(RECIPE, epochs=1, optimizer="sgd", learning_rate=1e-12, weight_decay=0.0, **FAST_LOSS)
    config = replace(trained_run.config, network=network, recipe=recipe)
    second = train(config, *relabeled, tmp_path / "second", start_from=first)
    before, after = load_tiny_ssd(first), load_tiny_ssd(second)
    np.testing.assert_allclose(after.blocks[0].weights[0], before.blocks[0].weights[0], atol=1e-6)
    np.testing.assert_allclose(after.bbox_predictors[0].kernel, before.bbox_predictors[0].kernel, atol=1e-6)
    assert after.cls_predictors[0].kernel.shape[-1] == 12


def test_run_from_another_model_that_is_interrupted_resumes_from_its_weights(
    trained_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = trained_run.folder / "model.keras"
    recipe = replace(RECIPE, epochs=1, optimizer="sgd", learning_rate=1e-12, weight_decay=0.0, **FAST_LOSS)
    config = replace(trained_run.config, recipe=recipe)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit_epoch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config, *trained_run.datasets, tmp_path, start_from=first)
    assert "0 finished epochs are saved: continue with --resume" in caplog.text
    assert f"edge-ssd train --out {tmp_path} --resume" in caplog.text
    assert not (tmp_path / "model.keras").exists()
    model = load_tiny_ssd(train(config, *trained_run.datasets, tmp_path, resume=True))
    for before, after in zip(load_tiny_ssd(first).trainable_weights, model.trainable_weights, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)


def test_absurd_learning_rate_stops_and_keeps_the_last_good_model(trained_run: TrainedRun, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained_run.after_first_epoch, folder)
    good = load_tiny_ssd(folder / "model.keras").get_weights()
    checkpoint = (folder / "checkpoint.npz").read_bytes()
    config = replace(trained_run.config, recipe=replace(RECIPE, epochs=9, learning_rate=1e6, **FAST_LOSS))
    with pytest.raises(ModelError, match=r"diverged in epoch \d") as caught:
        train(config, *trained_run.datasets, folder, resume=True)
    assert "--learning-rate 1e+05" in str(caught.value)
    assert f"{folder / 'model.keras'} is the best model before that (epoch 1, AP" in str(caught.value)
    for expected, actual in zip(good, load_tiny_ssd(folder / "model.keras").get_weights(), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert (folder / "checkpoint.npz").read_bytes() == checkpoint


def test_training_that_diverges_at_once_names_a_lower_learning_rate(trained_run: TrainedRun, tmp_path: Path) -> None:
    recipe = replace(book_recipe(), learning_rate=1e9, batch_size=4)
    with pytest.raises(
        ModelError, match=r"diverged in epoch 1: the loss is .* --learning-rate 1e\+08, in another --out"
    ):
        train(replace(trained_run.config, recipe=recipe), *trained_run.datasets, tmp_path)
    assert not (tmp_path / "model.keras").exists()


def test_exploding_loss_keeps_checkpoint_before_it_and_model_of_best_epoch(
    trained_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([5.0, 3.0, 90.0, 4.0, 90.0, 90.0, 90.0])
    fit_epoch, models, checkpoints = Trainer.fit_epoch, [], []

    def explode(trainer: Trainer, *arguments: object) -> object:
        return replace(fit_epoch(trainer, *arguments), loss=next(losses))

    def keep(_: HistoryRow) -> None:
        models.append((tmp_path / "model.keras").read_bytes())
        checkpoints.append((tmp_path / "checkpoint.npz").read_bytes())

    monkeypatch.setattr(Trainer, "fit_epoch", explode)
    monkeypatch.setattr("edge_ssd.training.run._MODEL_SECONDS", 0)
    state_precisions(monkeypatch, 0.1, 0.5, 0.4, 0.3, 0.2, 0.1)
    config = replace(trained_run.config, recipe=replace(RECIPE, epochs=9, optimizer="sgd", **FAST_LOSS))
    with pytest.raises(ModelError, match=r"epoch 7: the loss is 90, its lowest was 3; .* \(epoch 2, AP 0\.500\)"):
        train(config, *trained_run.datasets, tmp_path, report=keep)
    # The third epoch is not saved, but the fourth is normal again.
    assert [models[i] == models[i - 1] for i in range(1, 6)] == [False, True, False, True, True]
    assert [checkpoints[i] == checkpoints[i - 1] for i in range(1, 6)] == [False, True, False, True, True]
    (tmp_path / "second.keras").write_bytes(models[1])
    weights = (load_tiny_ssd(tmp_path / name).get_weights() for name in ("second.keras", "model.keras"))
    for expected, actual in zip(*weights, strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert (tmp_path / "checkpoint.npz").read_bytes() == checkpoints[3]


def test_precision_that_falls_to_zero_stops_and_keeps_model_of_best_epoch(
    trained_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []
    monkeypatch.setattr("edge_ssd.training.run._MODEL_SECONDS", 0)
    state_precisions(monkeypatch, 0.3, 0.5, 0.4, 0.0, 0.0, 0.0)
    config = replace(trained_run.config, recipe=replace(RECIPE, epochs=9, **FAST))
    words = (
        r"diverged in epoch 6: the average precision fell to 0\.000, its highest was 0\.500; .* \(epoch 2, AP 0\.500\)"
    )
    with pytest.raises(ModelError, match=words):
        train(
            config,
            *trained_run.datasets,
            tmp_path,
            report=lambda row: models.append((tmp_path / "model.keras").read_bytes()),
        )
    assert [models[i] == models[i - 1] for i in range(1, 6)] == [False, False, True, True, True]
    (tmp_path / "second.keras").write_bytes(models[1])
    weights = (load_tiny_ssd(tmp_path / name).get_weights() for name in ("second.keras", "model.keras"))
    for expected, actual in zip(*weights, strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_best_epoch_is_kept_without_stopping_early(
    trained_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_precisions(monkeypatch, 0.5, 0.6, 0.4, 0.55)
    config = replace(trained_run.config, recipe=replace(RECIPE, epochs=4, keep_best=True, **FAST))
    models: list[bytes] = []
    model = tmp_path / "model.keras"
    train(config, *trained_run.datasets, tmp_path, report=lambda row: models.append(model.read_bytes()))
    assert epochs_of(tmp_path) == [1, 2, 3, 4]
    assert models[0] != models[1]
    assert models[1] == models[2] == models[3]
    assert load_run(tmp_path).recipe.keep_best


def test_trunk_rate_keeps_the_trunk_and_trains_the_heads(trained_run: TrainedRun, tmp_path: Path) -> None:
    config = replace(trained_run.config, recipe=replace(trained_run.config.recipe, trunk_rate=0.0, ema_decay=0.0))
    with pytest.raises(SettingError, match=r"--trunk-rate slows down .* with --from MODEL"):
        train(config, *trained_run.datasets, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    source = trained_run.folder / "model.keras"
    train(config, *trained_run.datasets, tmp_path / "run", start_from=source)
    before, after = load_tiny_ssd(source), load_tiny_ssd(tmp_path / "run" / "model.keras")
    for old, new in zip(before.blocks, after.blocks, strict=True):
        for weight, other in zip(old.trainable_weights, new.trainable_weights, strict=True):
            np.testing.assert_array_equal(weight, other)
    assert (before.cls_predictors[0].kernel.numpy() != after.cls_predictors[0].kernel.numpy()).any()


def test_early_stopping_keeps_model_of_best_epoch(
    trained_run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_precisions(monkeypatch, 0.5, 0.6, 0.4, 0.6, 0.9)
    config = replace(trained_run.config, recipe=replace(RECIPE, epochs=9, patience=2, **FAST))
    models: list[bytes] = []
    model = tmp_path / "model.keras"
    train(config, *trained_run.datasets, tmp_path, report=lambda row: models.append(model.read_bytes()))
    # The second epoch was the best, and the next two were not better.
    assert epochs_of(tmp_path) == [1, 2, 3, 4]
    assert models[0] != models[1]
    assert models[1] == models[2] == models[3]
    # A resume of a run that stopped early trains nothing.
    train(config, *trained_run.datasets, tmp_path, resume=True)
    assert len(read_history(tmp_path / "history.csv")) == 4
    assert model.read_bytes() == models[1]
