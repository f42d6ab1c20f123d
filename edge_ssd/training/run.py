"""A training run in a folder: started, resumed, finished.

RUN/run.json                    what is trained, how, on what; a resume reads it back
RUN/history.csv, history.png    one row an epoch, and the curve
RUN/tensorboard                 the same rows for TensorBoard, where asked for
RUN/checkpoint.npz              what a resume goes on from
RUN/model.keras                 the averaged weights: the newest epoch's, or the best one's with early stopping
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError, ImageError, ModelError
from edge_ssd.evaluation.keras_predictor import KerasPredictor
from edge_ssd.files import atomic_path, check_writable
from edge_ssd.network import Network
from edge_ssd.training.history import (
    HistoryRow,
    best_row,
    draw_history,
    read_history,
    should_stop_early,
    write_history,
)
from edge_ssd.training.input.cache import Cache, choose_cache, decoded_bytes
from edge_ssd.training.input.images import ImageDataset, load_pictures
from edge_ssd.training.loss.class_weights import class_weights
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd, save_tiny_ssd
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.tensorboard import EventLog
from edge_ssd.training.trainer import Trainer, evaluate_pictures
from edge_ssd.training.workers import SINGLE_WORKER, Workers, lost_worker

__all__ = ["CHECKPOINT", "CURVE", "HISTORY", "MODEL", "RunConfig", "load_run", "train"]

MODEL, HISTORY, CURVE, CHECKPOINT = "model.keras", "history.csv", "history.png", "checkpoint.npz"
_EVENTS = "tensorboard"
_CONFIG = "run.json"


@dataclass(frozen=True)
class RunConfig:
    """What makes a run what it is.

    Attributes:
        data: the data-set folder, and what is taken of it.
        validation_split: share of the training pictures that was held out; None where the set's own split serves.
        teacher: the trained model that the network learns from too.
    """

    network: Network
    recipe: Recipe
    data: DataSource
    validation_split: float | None = None
    teacher: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "network": self.network.to_dict(),
            "recipe": self.recipe.to_dict(),
            "data": self.data.to_dict(),
            "validation_split": self.validation_split,
            "teacher": None if self.teacher is None else str(self.teacher),
        }


def load_run(folder: Path) -> RunConfig:
    """The run in ``folder``; raises :class:`DataError` if there is none."""
    path = folder / _CONFIG
    try:
        values = json.loads(path.read_text("utf-8"))
        return RunConfig(
            Network.from_dict(values["network"]),
            Recipe.from_dict(values["recipe"]),
            # Earlier runs have the folder alone.
            DataSource(Path(data)) if isinstance(data := values["data"], str) else DataSource.from_dict(data),
            values["validation_split"],
            None if values.get("teacher") is None else Path(values["teacher"]),
        )
    except FileNotFoundError:
        raise DataError(f"{folder}: no training run to resume; start one without --resume") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); start a new run in another folder") from None


def train(
    config: RunConfig,
    training: Dataset,
    validation: Dataset,
    folder: Path,
    *,
    resume: bool = False,
    start_from: Path | None = None,
    report: Callable[[HistoryRow], None] = lambda row: None,
    cache: Cache = "auto",
    tensorboard: bool = False,
    workers: Workers = SINGLE_WORKER,
) -> Path:
    """Train and return the path of the model.

    The model kept is that of the last epoch, not of the best on ``validation``: picking by the split that is then
    reported would flatter it, and the schedule ends where the weights are best in any case. With early stopping
    (the recipe's ``patience``) the schedule does not end, and the best epoch's model is kept; what is then reported
    must be measured on other pictures.

    Args:
        resume: go on from the checkpoint in ``folder``.
        start_from: a model whose layers of equal shape are the start (other heads start anew).
        report: called after each epoch; of several workers, by the chief.
        cache: where decoded pictures are kept, see :mod:`edge_ssd.training.input.cache`.
        tensorboard: write event files too.
        workers: who trains together. All are given the same; only the chief writes to ``folder`` and evaluates.

    Raises :class:`DataError` for a folder with a run already in it (without ``resume``) or with none (with it).
    """
    if resume:
        load_run(folder)
    elif workers.is_chief and (folder / _CONFIG).exists():
        raise DataError(f"{folder}: holds a training run already; add --resume to go on with it, or name another --out")
    if workers.is_chief:
        check_writable(folder / _CONFIG)
    network, recipe = config.network, config.recipe
    for dataset in (training, validation):
        if dataset.labels != network.labels:
            raise DataError(f"{dataset.root}: its labels {dataset.labels} are not the network's {network.labels}")
    teacher = None if config.teacher is None else load_tiny_ssd(config.teacher)
    weights = class_weights(recipe, training)
    num_pictures = len(training) + (len(validation) if workers.is_chief else 0)
    kept = choose_cache(cache, decoded_bytes(num_pictures, network.input), folder)
    with Progress("reading", "pictures") as progress:
        train_pictures = load_pictures(training, network.input, progress, kept, folder)
    val_pictures = load_pictures(validation, network.input, None, kept, folder) if workers.is_chief else None
    workers.check_alike(_fingerprint(config, train_pictures, resume), "pictures, labels, teacher or options")
    trainer = Trainer(network, recipe, folder / CHECKPOINT, weights, workers, teacher)
    history: list[HistoryRow] = []
    try:
        if resume:
            if trainer.restore(train_pictures) and workers.is_chief:
                history = [row for row in read_history(folder / HISTORY) if row.epoch <= trainer.finished_epochs]
                # The run may have died between the checkpoint and the model.
                _keep_model(trainer, history, folder)
        elif start_from is not None:
            _start_from(start_from, trainer)
        trainer.follow_chief(train_pictures)
        if workers.is_chief:
            with atomic_path(folder / _CONFIG) as temporary:
                # The trainer's recipe: a precision that was measured stays what it was, also on a resume elsewhere.
                config = replace(config, recipe=trainer.recipe)
                temporary.write_text(json.dumps(config.to_dict(), indent=1) + "\n", encoding="utf-8")
        events = EventLog(folder / _EVENTS, history) if tensorboard and workers.is_chief else None
        predictor = KerasPredictor(trainer.averaged)
        with Progress("training", "steps") as progress:

            def show(step: int, steps: int) -> None:
                if workers.is_chief:
                    progress(trainer.finished_epochs * steps + step, recipe.epochs * steps)

            while workers.agree(
                trainer.finished_epochs < recipe.epochs and not should_stop_early(history, recipe.patience)
            ):
                result = trainer.fit_epoch(train_pictures, show)
                if val_pictures is None:
                    continue
                precision = evaluate_pictures(predictor, network, validation, val_pictures)
                row = HistoryRow(
                    result.epoch,
                    result.loss,
                    result.class_error,
                    result.box_mae,
                    precision.ap,
                    precision.ap50,
                    precision.ap75,
                    result.seconds,
                    result.images_per_second,
                    result.waiting,
                )
                history.append(row)
                # The history before the checkpoint: were the run to die in between, the epoch is trained and written
                # once more. The model after it: a resume makes it anew from the checkpoint.
                write_history(history, folder / HISTORY)
                draw_history(history, folder / CURVE)
                trainer.save()
                _keep_model(trainer, history, folder)
                if events is not None:
                    events.add(row)
                report(row)
    except ImageError as error:
        raise ImageError(f"{error}; {_so_far(trainer)}") from None
    except tf.errors.OpError as error:
        if workers.count == 1:
            raise
        raise lost_worker(error, _so_far(trainer)) from None
    return folder / MODEL


def _so_far(trainer: Trainer) -> str:
    """What an interruption has cost, and how to go on."""
    done = trainer.finished_epochs
    return f"{done} finished epoch{' is' if done == 1 else 's are'} kept: then go on with --resume"


def _fingerprint(config: RunConfig, pictures: ImageDataset, resume: bool) -> int:
    """32 bits of what all workers must agree on; not of where the data lies, which may differ."""
    agreed = json.dumps([config.network.to_dict(), config.recipe.to_dict(), resume], sort_keys=True)
    teacher = b"" if config.teacher is None else config.teacher.read_bytes()
    return zlib.crc32(teacher, zlib.crc32(pictures.labels.tobytes(), zlib.crc32(agreed.encode())))


def _keep_model(trainer: Trainer, history: Sequence[HistoryRow], folder: Path) -> None:
    """Write the newest epoch's model; with early stopping, only where none before it was better."""
    if not trainer.recipe.patience or not history or best_row(history).epoch == trainer.finished_epochs:
        save_tiny_ssd(trainer.averaged, folder / MODEL)


def _start_from(path: Path, trainer: Trainer) -> None:
    """Give ``trainer`` every weight of the model at ``path`` that has the same place and shape in its own."""
    known = {_layer_path(weight): weight for weight in load_tiny_ssd(path).weights}
    copied = 0
    for weight in [*trainer.model.weights, *trainer.averaged.weights]:
        match = known.get(_layer_path(weight))
        if match is not None and match.shape == weight.shape:
            weight.assign(match)
            copied += 1
    if not copied:
        raise ModelError(f"{path}: none of its layers fits this network; start without --from")


def _layer_path(weight: Any) -> str:
    """Where a weight sits, without the model's own name, which differs from instance to instance."""
    return str(weight.path).partition("/")[2]
