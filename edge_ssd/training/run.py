"""Training run: start or resume training in a folder and write its files."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from edge_ssd.atomic_write import check_writable
from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.held_out import HeldOut
from edge_ssd.errors import DataError, ImageError, ModelError
from edge_ssd.evaluation.keras_predictor import KerasPredictor
from edge_ssd.training.history import HistoryRow, best_row, draw_history, read_history, should_stop_early, write_history
from edge_ssd.training.input.cache import Cache, choose_cache, decoded_bytes
from edge_ssd.training.input.images import ImageDataset, load_images
from edge_ssd.training.loss.class_weights import class_weights
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd, save_tiny_ssd
from edge_ssd.training.run_folder import (
    CHECKPOINT,
    CONFIG,
    CURVE,
    EVENTS,
    HISTORY,
    MODEL,
    RunConfig,
    load_run,
    save_run,
)
from edge_ssd.training.tensorboard import TensorBoardWriter
from edge_ssd.training.trainer import Trainer, evaluate_images
from edge_ssd.training.workers import SINGLE_WORKER, Workers, lost_worker_error

__all__ = ["train"]

# Seconds between two drawings of the history: one takes half a second, as long as a short epoch.
_CURVE_SECONDS = 30.0


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

    The model is that of the last epoch, not of the best one on ``validation``: selecting by the split that is then
    reported would bias the result, and the schedule ends with the best weights in any case. With early stopping (the
    recipe's ``patience``) the schedule is cut off, so the best epoch's model is kept; report its AP on other images.

    Args:
        folder: folder of the run, see :mod:`edge_ssd.training.run_folder`.
        start_from: model whose weights initialize all layers of equal shape.
        report: called after each epoch; with several workers, on the chief (worker 0) only.
        cache: where decoded images are kept, see :mod:`edge_ssd.training.input.cache`.
        tensorboard: also write TensorBoard event files.
        workers: the workers that train together, all called with the same arguments. Only the chief evaluates and
            writes to ``folder``.

    Raises:
        DataError: ``folder`` contains a run (without ``resume``) or no run (with it).
    """
    if resume:
        load_run(folder)
    elif workers.is_chief and (folder / CONFIG).exists():
        raise DataError(f"{folder}: contains a training run; add --resume to continue it, or choose another --out")
    if workers.is_chief:
        check_writable(folder / CONFIG)
    network = config.network
    for dataset in (training, validation):
        if dataset.labels != network.labels:
            raise DataError(f"{dataset.root}: its labels {dataset.labels} are not the network's {network.labels}")
    teacher = None if config.teacher is None else load_tiny_ssd(config.teacher)
    weights = class_weights(config.recipe, training)
    num_images = len(training) + (len(validation) if workers.is_chief else 0)
    store = choose_cache(cache, decoded_bytes(num_images, network.input), folder)
    with Progress("reading", "images") as progress:
        train_images = load_images(training, network.input, progress, store, folder, config.data.strict)
    val_images = None
    if workers.is_chief:
        with Progress("reading", "validation images") as progress:
            val_images = load_images(validation, network.input, progress, store, folder, config.data.strict)
    workers.check_equal(_fingerprint(config, train_images, resume), "images, labels, teacher or options")
    trainer = Trainer(network, config.recipe, folder / CHECKPOINT, weights, workers, teacher)
    # The model that is saved names the images that it can be measured on.
    trainer.ema_model.held_out = HeldOut() if config.validation_split is None else HeldOut.of(validation)
    history: list[HistoryRow] = []
    drawn_at = -math.inf
    try:
        if resume:
            if trainer.restore(train_images) and workers.is_chief:
                history = [row for row in read_history(folder / HISTORY) if row.epoch <= trainer.finished_epochs]
                # The run may have been killed after it wrote the checkpoint and before the model.
                _save_model(trainer, history, folder)
        elif start_from is not None:
            _copy_matching_weights(start_from, trainer)
        trainer.broadcast_state(train_images)
        if workers.is_chief:
            # With the measured precision, which a resume on another machine keeps.
            save_run(replace(config, recipe=trainer.recipe), folder)
        events = TensorBoardWriter(folder / EVENTS, history) if tensorboard and workers.is_chief else None
        predictor = KerasPredictor(trainer.ema_model)
        with Progress("training", "steps") as progress:

            def on_batch(step: int, steps: int) -> None:
                if workers.is_chief:
                    progress(trainer.finished_epochs * steps + step, config.recipe.epochs * steps)

            def is_finished() -> bool:
                recipe = config.recipe
                return trainer.finished_epochs >= recipe.epochs or should_stop_early(history, recipe.patience)

            while workers.broadcast_bool(not is_finished()):
                result = trainer.fit_epoch(train_images, on_batch)
                if val_images is None:
                    continue
                precision = evaluate_images(predictor, network, val_images.dataset, val_images)
                row = HistoryRow(**vars(result), ap=precision.ap, ap50=precision.ap50, ap75=precision.ap75)
                history.append(row)
                # History before checkpoint: a run killed in between trains and writes the epoch again. Model after
                # checkpoint: a resume writes the model from the checkpoint.
                write_history(history, folder / HISTORY)
                if is_finished() or time.monotonic() - drawn_at >= _CURVE_SECONDS:
                    draw_history(history, folder / CURVE)
                    drawn_at = time.monotonic()
                trainer.save()
                _save_model(trainer, history, folder)
                if events is not None:
                    events.add(row)
                report(row)
    except ImageError as error:
        raise ImageError(f"{error}; {_saved_epochs(trainer)}") from None
    except tf.errors.OpError as error:
        if workers.count == 1:
            raise
        raise lost_worker_error(error, _saved_epochs(trainer)) from None
    return folder / MODEL


def _saved_epochs(trainer: Trainer) -> str:
    """Return the end of an error message: what was saved, and how to continue."""
    count = trainer.finished_epochs
    return f"{count} finished epoch{' is' if count == 1 else 's are'} saved: continue with --resume"


def _fingerprint(config: RunConfig, images: ImageDataset, resume: bool) -> int:
    """Return a CRC-32 of all that must be equal on all workers; the location of the data may differ."""
    options = json.dumps([config.network.to_dict(), config.recipe.to_dict(), resume], sort_keys=True)
    teacher = b"" if config.teacher is None else config.teacher.read_bytes()
    return zlib.crc32(teacher, zlib.crc32(images.labels.tobytes(), zlib.crc32(options.encode())))


def _save_model(trainer: Trainer, history: Sequence[HistoryRow], folder: Path) -> None:
    """Write the newest epoch's model; with early stopping, only if it is the best so far."""
    if not trainer.recipe.patience or not history or best_row(history).epoch == trainer.finished_epochs:
        save_tiny_ssd(trainer.ema_model, folder / MODEL)


def _copy_matching_weights(path: Path, trainer: Trainer) -> None:
    """Copy every weight of the model at ``path`` that has the same layer path and shape in ``trainer``'s models."""
    source = {_layer_path(weight): weight for weight in load_tiny_ssd(path).weights}
    copied = 0
    for weight in [*trainer.model.weights, *trainer.ema_model.weights]:
        match = source.get(_layer_path(weight))
        if match is not None and match.shape == weight.shape:
            weight.assign(match)
            copied += 1
    if not copied:
        raise ModelError(f"{path}: none of its layers matches this network; start without --from")


def _layer_path(weight: Any) -> str:
    """Return the path of a weight without the model's name, which differs between instances."""
    return str(weight.path).partition("/")[2]
