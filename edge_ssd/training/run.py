"""A training run in a folder: started, resumed, finished.

    RUN/network.json, recipe.json   what is trained and how; a resume reads them back
    RUN/history.csv, history.png    one row an epoch, and the curve
    RUN/checkpoint.npz              what a resume goes on from
    RUN/model.keras                 the averaged weights after the newest epoch
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_ssd.data.dataset import Dataset
from edge_ssd.errors import DataError, ModelError
from edge_ssd.files import atomic_path
from edge_ssd.network import Network
from edge_ssd.progress import Progress
from edge_ssd.training.history import HistoryRow, draw_history, read_history, write_history
from edge_ssd.training.model import TinySSD, load_tiny_ssd, save_tiny_ssd
from edge_ssd.training.pipeline import load_pictures
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.trainer import Trainer, evaluate_pictures

__all__ = ["load_run", "train"]

MODEL, HISTORY, CURVE = "model.keras", "history.csv", "history.png"
_NETWORK, _RECIPE, _CHECKPOINT = "network.json", "recipe.json", "checkpoint.npz"


def train(
    network: Network,
    recipe: Recipe,
    training: Dataset,
    validation: Dataset,
    folder: Path,
    *,
    resume: bool = False,
    start_from: Path | None = None,
    report: Callable[[HistoryRow], None] = lambda row: None,
) -> Path:
    """Train and return the path of the model.

    The model kept is that of the last epoch, not of the best on ``validation``: picking by the split that is then
    reported would flatter it, and the schedule ends where the weights are best in any case.

    Args:
        resume: go on from the newest checkpoint in ``folder``.
        start_from: a model whose layers of equal shape are the start (other heads start anew).
        report: called after each epoch.

    Raises :class:`DataError` for a folder with a run already in it (without ``resume``) or with none (with it).
    """
    if resume and not (folder / _NETWORK).is_file():
        raise DataError(f"{folder}: no training run to resume; start one without --resume")
    if not resume and (folder / _NETWORK).exists():
        raise DataError(f"{folder}: holds a training run already; add --resume to go on with it, or name another --out")
    for name, dataset in (("training", training), ("validation", validation)):
        if dataset.labels != network.labels:
            raise DataError(f"{dataset.root}: the {name} labels {dataset.labels} are not the network's {network.labels}")
    with Progress("reading", "pictures") as progress:
        train_pictures = load_pictures(training, network.input, progress)
        val_pictures = load_pictures(validation, network.input)
    trainer = Trainer(network, recipe, folder / _CHECKPOINT)
    history: list[HistoryRow] = []
    if resume:
        if trainer.restore(train_pictures):
            history = [row for row in read_history(folder / HISTORY) if row.epoch <= trainer.finished_epochs]
    elif start_from is not None:
        copied = copy_weights(load_tiny_ssd(start_from), trainer)
        if not copied:
            raise ModelError(f"{start_from}: none of its layers fits this network; start without --from")
    _write_json(folder / _NETWORK, network.to_dict())
    _write_json(folder / _RECIPE, recipe.to_dict())

    with Progress("training", "steps") as progress:
        while trainer.finished_epochs < recipe.epochs:
            before, epochs = trainer.finished_epochs, recipe.epochs
            result = trainer.fit_epoch(
                train_pictures, lambda done, count: progress(before * count + done, epochs * count)
            )
            precision = evaluate_pictures(trainer.averaged, validation, val_pictures)
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
            )
            history.append(row)
            # The checkpoint last: were the run to die in between, the epoch is trained and written once more.
            save_tiny_ssd(trainer.averaged, folder / MODEL)
            write_history(history, folder / HISTORY)
            draw_history(history, folder / CURVE)
            trainer.save()
            report(row)
    return folder / MODEL


def load_run(folder: Path) -> tuple[Network, Recipe]:
    """The network and recipe of the run in ``folder``; raises :class:`DataError` if there is none."""
    try:
        network = json.loads((folder / _NETWORK).read_text("utf-8"))
        recipe = json.loads((folder / _RECIPE).read_text("utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder}: no training run to resume; start one without --resume") from None
    except ValueError as error:
        raise DataError(f"{folder}: its {_NETWORK} or {_RECIPE} is damaged ({error}); start anew elsewhere") from None
    return Network.from_dict(network), Recipe.from_dict(recipe)


def copy_weights(source: TinySSD, trainer: Trainer) -> int:
    """Start ``trainer`` from ``source``: every weight of the same name and shape is taken; returns how many."""
    known = {_layer_path(weight): weight for weight in source.weights}
    copied = 0
    for weight in [*trainer.model.weights, *trainer.averaged.weights]:
        match = known.get(_layer_path(weight))
        if match is not None and match.shape == weight.shape:
            weight.assign(match)
            copied += 1
    return copied


def _layer_path(weight: Any) -> str:
    """Where a weight sits, without the model's own name, which differs from instance to instance."""
    return str(weight.path).partition("/")[2]


def _write_json(path: Path, value: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
