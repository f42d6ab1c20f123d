"""A training run of two epochs that the tests of training share, and its configuration."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import load_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.network import tiny_ssd
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.run_folder import RunConfig

__all__ = ["FAST", "FAST_LOSS", "FAST_OPTIONS", "NETWORK", "RECIPE", "TrainedRun", "train_run"]

# Three levels: a step is compiled in half of the time that the book's five levels take.
NETWORK = tiny_ssd(["banana"], input_size=(64, 64), base_channels=(8, 8), block_channels=(8,))
RECIPE = Recipe(epochs=2, batch_size=4, precision="float32", warmup_epochs=0.5, zoom=1.0, color=0.0)

# What is traced fastest, for tests that do not depend on the loss, or not on the optimizer and the average of the
# weights either; and NETWORK with it on the command line, without RECIPE's augmentation.
FAST_LOSS = {"assignment": "fixed", "class_loss": "cross_entropy", "box_loss": "l1"}
FAST = {**FAST_LOSS, "optimizer": "sgd", "ema_decay": 0.0}
FAST_OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in FAST.items()] + [
    "--input-size=64x64",
    "--base-channels=8,8",
    "--block-channels=8",
    "--batch-size=4",
    "--precision=float32",
    "--zoom=1",
    "--color=0",
]


class TrainedRun(NamedTuple):
    """A finished run; ``after_first_epoch`` is its folder as a kill after the first of two epochs leaves it."""

    config: RunConfig
    datasets: tuple[Dataset, Dataset]
    folder: Path
    after_first_epoch: Path


def train_run(data: Path, folder: Path) -> TrainedRun:
    """Train NETWORK with RECIPE and FAST_LOSS on ``data`` in ``folder``."""
    from edge_ssd.training.run import train

    finished = folder / "finished"
    result = TrainedRun(
        RunConfig(NETWORK, replace(RECIPE, **FAST_LOSS), DataSource(data)),
        (load_dataset(data, "train"), load_dataset(data, "val")),
        finished,
        folder / "after_first_epoch",
    )

    def copy_first_epoch(row: object) -> None:
        if not result.after_first_epoch.exists():
            shutil.copytree(finished, result.after_first_epoch)

    train(result.config, *result.datasets, finished, report=copy_first_epoch)
    return result
