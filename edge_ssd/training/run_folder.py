"""Folder of a training run: its file names, and the configuration that a resume reads.

RUN/run.json                    network, recipe and data
RUN/history.csv, history.png    one row an epoch, and the plot
RUN/tensorboard                 the same rows for TensorBoard, on request
RUN/checkpoint.npz              state for a resume
RUN/model.keras                 the EMA weights: of the newest epoch, or of the best one with early stopping
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_ssd.atomic_write import atomic_path
from edge_ssd.data.source import DataSource
from edge_ssd.errors import DataError
from edge_ssd.network import Network
from edge_ssd.training.recipe import Recipe

__all__ = ["CHECKPOINT", "CONFIG", "CURVE", "EVENTS", "HISTORY", "MODEL", "RunConfig", "load_run", "save_run"]

MODEL, HISTORY, CURVE, CHECKPOINT = "model.keras", "history.csv", "history.png", "checkpoint.npz"
EVENTS, CONFIG = "tensorboard", "run.json"


@dataclass(frozen=True)
class RunConfig:
    """Configuration of a training run.

    Attributes:
        validation_split: fraction of the training images that was held out; None if the dataset has a split for it.
        teacher: file of the trained model for distillation.
    """

    network: Network
    recipe: Recipe
    data: DataSource
    validation_split: float | None = None
    teacher: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as a dictionary of plain JSON types."""
        return {
            "network": self.network.to_dict(),
            "recipe": self.recipe.to_dict(),
            "data": self.data.to_dict(),
            "validation_split": self.validation_split,
            "teacher": None if self.teacher is None else str(self.teacher),
        }


def save_run(config: RunConfig, folder: Path) -> None:
    """Write ``config`` to the file ``run.json`` in ``folder``."""
    with atomic_path(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(config.to_dict(), indent=1) + "\n", encoding="utf-8")


def load_run(folder: Path) -> RunConfig:
    """Read the configuration of the run in ``folder``.

    Raises:
        DataError: there is no run, or its file is damaged.
    """
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text("utf-8"))
        return RunConfig(
            Network.from_dict(values["network"]),
            Recipe.from_dict(values["recipe"]),
            # Earlier versions wrote only the folder.
            DataSource(Path(data)) if isinstance(data := values["data"], str) else DataSource.from_dict(data),
            values["validation_split"],
            None if values.get("teacher") is None else Path(values["teacher"]),
        )
    except FileNotFoundError:
        raise DataError(f"{folder}: no training run to resume; start one without --resume") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: damaged ({error}); start a new run in another folder") from None
