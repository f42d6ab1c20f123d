"""Training run: start or resume training in a folder and write its files."""

from __future__ import annotations

import json
import logging
import math
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import tensorflow as tf

from edge_ssd.atomic_write import check_writable
from edge_ssd.console.counts import count
from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.held_out import HeldOut
from edge_ssd.data.manifest import Manifest
from edge_ssd.errors import DataError, ImageError, ModelError, SettingError
from edge_ssd.evaluation.keras_predictor import KerasPredictor
from edge_ssd.network import NETWORKS, Network
from edge_ssd.training.best_model import BestModel
from edge_ssd.training.divergence import has_collapsed, has_diverged, is_low, is_suspect
from edge_ssd.training.history import HistoryRow, best_row, draw_history, read_history, should_stop_early, write_history
from edge_ssd.training.initial_weights import InitialWeights, copy_weights, load_initial_weights
from edge_ssd.training.input.cache import Cache, choose_cache, decoded_bytes
from edge_ssd.training.input.images import ImageDataset, load_images
from edge_ssd.training.loss.class_weights import class_weights
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd, save_tiny_ssd
from edge_ssd.training.pretrained_weights import load_pretrained_weights, pretrained_name
from edge_ssd.training.run_folder import (
    CHECKPOINT,
    CONFIG,
    CURVE,
    EVENTS,
    HISTORY,
    MODEL,
    RunConfig,
    check_new_run,
    load_run,
    save_run,
)
from edge_ssd.training.tensorboard import TensorBoardWriter
from edge_ssd.training.trainer import Trainer, evaluate_images
from edge_ssd.training.workers import SINGLE_WORKER, Workers, lost_worker_error

__all__ = ["train"]

_log = logging.getLogger(__name__)

# Seconds between two drawings of the history, and before the first: one takes half a second, as long as a short epoch.
_CURVE_SECONDS = 30.0
# Seconds between two writings of the model, which takes 0.2 s; the checkpoint of each epoch has its weights too.
_MODEL_SECONDS = 5.0


def train(
    config: RunConfig,
    training: Dataset,
    validation: Dataset,
    folder: Path,
    *,
    resume: bool = False,
    start_from: Path | Literal["pretrained"] | None = None,
    report: Callable[[HistoryRow], None] = lambda row: None,
    cache: Cache = "auto",
    tensorboard: bool = False,
    workers: Workers = SINGLE_WORKER,
    background: Dataset | None = None,
) -> Path:
    """Train and return the path of the model.

    The model is that of the last epoch, not of the best one on ``validation``: selecting by the split that is then
    reported would bias the result, and the schedule ends with the best weights in any case. With early stopping (the
    recipe's ``patience``) the schedule is cut off, so the best epoch's model is kept, as it is with ``keep_best``;
    report its AP on other images.

    Args:
        folder: folder of the run, see :mod:`edge_ssd.training.run_folder`.
        start_from: model whose weights initialize the network, see :mod:`edge_ssd.training.initial_weights`;
            "pretrained" for the shipped weights that fit it; None for random weights.
        report: called after each epoch; with several workers, on the chief (worker 0) only.
        cache: where decoded images are kept, see :mod:`edge_ssd.training.input.cache`.
        tensorboard: also write TensorBoard event files.
        workers: the workers that train together, all called with the same arguments. Only the chief evaluates and
            writes to ``folder``.
        background: images without objects that are mixed into the batches.

    Raises:
        DataError: ``folder`` contains a run (without ``resume``) or no run (with it).
        SettingError: the recipe's ``trunk_rate`` is for a trained trunk, and ``start_from`` is None.
        ModelError: the training diverged, or ``start_from`` does not fit. After a divergence, the model is that of the
            best epoch.
    """
    if resume:
        load_run(folder)
    elif workers.is_chief:
        check_new_run(folder)
    if workers.is_chief:
        check_writable(folder / CONFIG)
    network = config.network
    for dataset in (training, validation):
        if dataset.labels != network.labels:
            raise DataError(f"{dataset.root}: its labels {dataset.labels} are not the network's {network.labels}")
    initial = _initial_weights(start_from, network)
    start = config.start if resume else "random weights" if initial is None else initial.source
    if initial is None and not resume and config.recipe.trunk_rate != 1:
        raise SettingError(
            "--trunk-rate slows down the layers before the heads, which start at random here: start from pre-trained "
            "weights (a named --network without --from none) or with --from MODEL.keras, or leave it out"
        )
    teacher = None if config.teacher is None else load_tiny_ssd(config.teacher)
    weights = class_weights(config.recipe, training)
    num_images = len(training) + (len(validation) if workers.is_chief else 0)
    num_images += 0 if background is None else len(background)
    store = choose_cache(cache, decoded_bytes(num_images, network.input), folder)
    with Progress("reading", "images") as progress:
        train_images = load_images(training, network.input, progress, store, folder, config.data.strict)
    if background is not None:
        with Progress("reading", "background images") as progress:
            negatives = load_images(background, network.input, progress, store, folder, config.data.strict)
        train_images = replace(train_images, background=negatives.images)
    val_images = None
    if workers.is_chief:
        with Progress("reading", "validation images") as progress:
            val_images = load_images(validation, network.input, progress, store, folder, config.data.strict)
        if not val_images.dataset.num_boxes:
            raise DataError(f"{validation.root}: no validation image with an object can be decoded: replace some")
    workers.check_equal(_fingerprint(config, train_images, resume), "images, labels, teacher or options")
    trainer = Trainer(network, config.recipe, folder / CHECKPOINT, weights, workers, teacher)
    # The model that is saved names the images that it can be measured on.
    own_split = HeldOut() if config.validation_split is None else HeldOut.of(validation)
    trainer.ema_model.held_out = own_split if config.held_out is None else config.held_out
    history: list[HistoryRow] = []
    drawn_at, written_at = time.monotonic(), -math.inf
    try:
        if resume:
            if trainer.restore(train_images) and workers.is_chief:
                history = [row for row in read_history(folder / HISTORY) if row.epoch <= trainer.finished_epochs]
                # The run may have been killed after it wrote the checkpoint and before the model.
                _save_model(trainer, history, folder)
        elif initial is not None:
            for line in copy_weights(initial, trainer.model):
                _log.info("%s: %s", initial.source, line)
            if trainer.ema_model is not trainer.model:
                copy_weights(initial, trainer.ema_model)
        trainer.broadcast_state(train_images)
        if workers.is_chief:
            # With the measured precision, which a resume on another machine keeps.
            save_run(replace(config, recipe=trainer.recipe, start=start), Manifest.of(training, validation), folder)
            if initial is not None:  # a resume of the first epoch must start from the same weights
                trainer.build(train_images)
                trainer.save()
        if resume and workers.is_chief and _is_finished(trainer, history):
            epochs = count(trainer.finished_epochs, "epoch")
            advice = f"to train longer, start a new run with --from {folder / MODEL}"
            _log.info("%s: this run is finished after %s, nothing is left to train; %s", folder, epochs, advice)
        best = BestModel(trainer.ema_model, history)
        events = TensorBoardWriter(folder / EVENTS, history) if tensorboard and workers.is_chief else None
        predictor = KerasPredictor(trainer.ema_model)
        with Progress("training", "steps") as progress:

            def on_batch(step: int, steps: int) -> None:
                if workers.is_chief:
                    progress(trainer.finished_epochs * steps + step, config.recipe.epochs * steps)

            while True:
                is_finished, precisions = _is_finished(trainer, history), [row.ap for row in history]
                if workers.broadcast_bool(has_collapsed(precisions, is_finished)):
                    raise _stop_diverged(_describe_collapse(history), trainer, best, folder)
                if not workers.broadcast_bool(not is_finished):
                    break
                result = trainer.fit_epoch(train_images, on_batch)
                losses = [*(row.loss for row in history), result.loss if trainer.is_finite() else math.nan]
                is_last = trainer.finished_epochs == config.recipe.epochs
                suspect = is_suspect(losses, config.recipe)
                if workers.broadcast_bool(has_diverged(losses, config.recipe) or (suspect and is_last)):
                    raise _stop_diverged(_describe_divergence(losses), trainer, best, folder)
                if val_images is None:
                    continue
                precision = evaluate_images(predictor, network, val_images.dataset, val_images)
                row = HistoryRow(**vars(result), ap=precision.ap, ap50=precision.ap50, ap75=precision.ap75)
                history.append(row)
                suspect = suspect or is_low([row.ap for row in history])
                # History before checkpoint: a run killed in between trains and writes the epoch again. Model after
                # checkpoint: a resume writes the model from the checkpoint.
                write_history(history, folder / HISTORY)
                if _is_finished(trainer, history) or time.monotonic() - drawn_at >= _CURVE_SECONDS:
                    draw_history(history, folder / CURVE)
                    drawn_at = time.monotonic()
                if not suspect:
                    trainer.save()
                    is_due = time.monotonic() - written_at >= _MODEL_SECONDS
                    if is_due or config.recipe.keeps_best_epoch or _is_finished(trainer, history):
                        _save_model(trainer, history, folder)
                        written_at = time.monotonic()
                    best.update(row)
                if events is not None:
                    events.add(row)
                report(row)
    except KeyboardInterrupt:
        if workers.is_chief:
            _log.warning("interrupted; %s, as in 'edge-ssd train --out %s --resume'", _saved_epochs(trainer), folder)
        raise
    except ImageError as error:
        raise ImageError(f"{error}; {_saved_epochs(trainer)}") from None
    except tf.errors.OpError as error:
        if workers.count == 1:
            raise
        raise lost_worker_error(error, _saved_epochs(trainer)) from None
    return folder / MODEL


def _initial_weights(start_from: Path | Literal["pretrained"] | None, network: Network) -> InitialWeights | None:
    if start_from is None:
        return None
    if start_from != "pretrained":
        return load_initial_weights(Path(start_from), network)
    name = pretrained_name(network)
    if name is None:
        _log.info(
            "starts from random weights: no layer fits those of the pre-trained networks: %s", ", ".join(NETWORKS)
        )
        return None
    return load_pretrained_weights(name)


def _is_finished(trainer: Trainer, history: Sequence[HistoryRow]) -> bool:
    recipe = trainer.recipe
    return trainer.finished_epochs >= recipe.epochs or should_stop_early(history, recipe.patience)


def _describe_divergence(losses: Sequence[float]) -> str:
    lowest = f", its lowest was {min(losses):.3g}" if len(losses) > 1 else ""
    return f"the loss is {losses[-1]:.3g}{lowest}"


def _describe_collapse(history: Sequence[HistoryRow]) -> str:
    return f"the average precision fell to {history[-1].ap:.3f}, its highest was {best_row(history).ap:.3f}"


def _stop_diverged(reason: str, trainer: Trainer, best: BestModel, folder: Path) -> ModelError:
    """Leave the best model in ``folder`` and return the error that describes it and what to try."""
    model, rate = folder / MODEL, trainer.recipe.learning_rate
    message = f"the training diverged in epoch {trainer.finished_epochs}: {reason}"
    advice = f"start a new run with a lower learning rate, such as --learning-rate {rate / 10:.1g}"
    if best.row is None:
        return ModelError(f"{message}; {advice}, in another --out")
    if not trainer.recipe.keeps_best_epoch:  # else the file is that of the best epoch already
        best.save(model)
    kept = f"{model} is the best model before that (epoch {best.row.epoch}, AP {best.row.ap:.3f})"
    return ModelError(f"{message}; {kept}; {advice}, in another --out, with --from {model} to continue from it")


def _saved_epochs(trainer: Trainer) -> str:
    """Return the end of a message: what was saved, and how to continue."""
    epochs = trainer.saved_epochs
    return f"{count(epochs, 'finished epoch')} {'is' if epochs == 1 else 'are'} saved: continue with --resume"


def _fingerprint(config: RunConfig, images: ImageDataset, resume: bool) -> int:
    """Return a CRC-32 of all that must be equal on all workers; the location of the data may differ."""
    num_background = None if images.background is None else len(images.background)
    options = json.dumps([config.network.to_dict(), config.recipe.to_dict(), resume, num_background], sort_keys=True)
    teacher = b"" if config.teacher is None else config.teacher.read_bytes()
    return zlib.crc32(teacher, zlib.crc32(images.labels.tobytes(), zlib.crc32(options.encode())))


def _save_model(trainer: Trainer, history: Sequence[HistoryRow], folder: Path) -> None:
    """Write the newest epoch's model; if the recipe keeps the best epoch's, only if it is the best so far."""
    if trainer.finished_epochs and (
        not trainer.recipe.keeps_best_epoch or not history or best_row(history).epoch == trainer.finished_epochs
    ):
        save_tiny_ssd(trainer.ema_model, folder / MODEL)
