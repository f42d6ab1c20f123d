"""Folder of a training run: its file names, and the configuration that a resume reads.

RUN/run.json                    network, recipe and data
RUN/held_out.json               names of the images that validate, if these are not a split of the dataset
RUN/images.json                 names of all images, from which a resume reports what changed
RUN/history.csv, history.png    one row an epoch, and the plot
RUN/tensorboard                 the same rows for TensorBoard, on request
RUN/checkpoint.npz              state for a resume
RUN/model.keras                 the EMA weights: of the newest epoch, or of the best one (--keep-best, --patience)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ssd.atomic_write import atomic_path, check_writable
from edge_ssd.data.held_out import HELD_OUT_FILE, HeldOut
from edge_ssd.data.manifest import Manifest
from edge_ssd.data.source import DataSource
from edge_ssd.data.training_images import DEFAULT_TRAIN_ON
from edge_ssd.errors import DataError
from edge_ssd.network import Network
from edge_ssd.runtime.model_file import MODEL_NAME
from edge_ssd.training.recipe import Recipe

__all__ = [
    "CHECKPOINT",
    "CONFIG",
    "CURVE",
    "EVENTS",
    "HELD_OUT",
    "HISTORY",
    "IMAGES",
    "MODEL",
    "RunConfig",
    "check_new_run",
    "load_manifest",
    "load_run",
    "save_run",
]

MODEL, HISTORY, CURVE, CHECKPOINT = MODEL_NAME, "history.csv", "history.png", "checkpoint.npz"
EVENTS, CONFIG, HELD_OUT, IMAGES = "tensorboard", "run.json", HELD_OUT_FILE, "images.json"


@dataclass(frozen=True)
class RunConfig:
    """Configuration of a training run.

    Attributes:
        validation_split: fraction of the training images that was held out; None if the dataset has a split for it.
        teacher: file of the trained model for distillation.
        train_on: splits that are trained on, as for
            :func:`~edge_ssd.data.training_images.load_training_images`.
        held_out: names of the images that validate; None if they were not recorded, as in earlier versions.
        background: folders of background images that are mixed into the batches.
        start: what the weights were initialized with, such as "random weights"; None before a run begins, and in the
            runs of earlier versions.
    """

    network: Network
    recipe: Recipe
    data: DataSource
    validation_split: float | None = None
    teacher: Path | None = None
    train_on: str = DEFAULT_TRAIN_ON
    held_out: HeldOut | None = None
    background: tuple[Path, ...] = ()
    start: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration without the held-out names as a dictionary of plain JSON types."""
        return {
            "network": self.network.to_dict(),
            "recipe": self.recipe.to_dict(),
            "data": self.data.to_dict(),
            "validation_split": self.validation_split,
            "teacher": None if self.teacher is None else str(self.teacher),
            "train_on": self.train_on,
            "background": [str(folder) for folder in self.background],
            "start": self.start,
        }


def save_run(config: RunConfig, manifest: Manifest, folder: Path) -> None:
    """Write ``config`` and ``manifest`` to their files in ``folder``; ``run.json`` last, since a run is known by it."""
    _write_json(manifest.to_dict(), folder / IMAGES)
    if config.held_out is not None:
        _write_json(config.held_out.to_dict(), folder / HELD_OUT)
    _write_json(config.to_dict(), folder / CONFIG)


def check_new_run(folder: Path) -> None:
    """Raise DataError or OSError if no new run can be written to ``folder``; create nothing."""
    if (folder / CONFIG).exists():
        raise DataError(f"{folder}: contains a training run; add --resume to continue it, or choose another --out")
    check_writable(folder / CONFIG)


def load_run(folder: Path) -> RunConfig:
    """Read the configuration of the run in ``folder``.

    Raises:
        DataError: there is no run, or one of its files is damaged.
    """
    values = _read_json(folder / CONFIG)
    if values is None:
        raise DataError(f"{folder}: no training run to resume; start one without --resume")
    names = _read_json(folder / HELD_OUT)
    try:
        held_out = None if names is None else HeldOut.from_dict(names)
    except ValueError as error:
        raise _damaged(folder / HELD_OUT, error) from None
    try:
        return RunConfig(
            Network.from_dict(values["network"]),
            Recipe.from_dict(values["recipe"]),
            # Earlier versions wrote only the folder.
            DataSource(Path(data)) if isinstance(data := values["data"], str) else DataSource.from_dict(data),
            values["validation_split"],
            None if values.get("teacher") is None else Path(values["teacher"]),
            values.get("train_on", DEFAULT_TRAIN_ON),
            held_out,
            tuple(Path(text) for text in values.get("background", ())),
            values.get("start"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder / CONFIG, error) from None


def load_manifest(folder: Path) -> Manifest | None:
    """Read the names of the images of the run in ``folder``; None if an earlier version did not write them."""
    values = _read_json(folder / IMAGES)
    try:
        return None if values is None else Manifest.from_dict(values)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(folder / IMAGES, error) from None


def _write_json(values: Mapping[str, Any], path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _read_json(path: Path) -> Any:
    """Return the content of a JSON file, or None if it does not exist."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: damaged ({error}); start a new run in another folder")
