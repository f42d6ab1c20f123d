"""Which pictures a model is measured on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import Split, open_dataset
from edge_ssd.errors import DataError, SettingError

__all__ = ["load_eval_split", "subsample_evenly", "training_pictures"]


def load_eval_split(
    folder: str | os.PathLike[str],
    labels: Sequence[str],
    split: Split | None = None,
    limit: int | None = None,
    otherwise: str = "ask for --split train",
) -> tuple[Dataset, str]:
    """The pictures to measure on, and the name of their part for the report.

    Args:
        folder: a data set, or a :class:`~edge_ssd.data.source.DataSource` that says what to take of it.
        labels: the model's, which fix the class ids.
        split: the part to take; None for the validation pictures, or all of a set that is not divided.
        limit: at most so many, see :func:`subsample_evenly`.
        otherwise: what else the user can do where there is nothing fair to measure on.

    Raises :class:`DataError` as :func:`edge_ssd.data.load.load_dataset` does, and where only training pictures are
    there and ``split`` does not ask for them: what a model was trained on says nothing about it.
    """
    opened = open_dataset(folder)
    if split is not None:
        return subsample_evenly(opened.load(split, labels), limit), split
    if not opened.splits:
        return subsample_evenly(opened.load(None, labels), limit), "all"
    chosen: Split = "val" if "val" in opened.splits else "test"
    if chosen not in opened.splits:
        raise DataError(
            f"{Path(folder)}: it has training pictures only, so nothing fair to measure on; add a validation part, or "
            f"{otherwise}"
        )
    return subsample_evenly(opened.load(chosen, labels), limit), chosen


def training_pictures(folder: str | os.PathLike[str], labels: Sequence[str]) -> Dataset:
    """The pictures that a model may see: the training part, or all of a set that has none."""
    opened = open_dataset(folder)
    return opened.load("train" if "train" in opened.splits else None, labels)


def subsample_evenly(dataset: Dataset, limit: int | None) -> Dataset:
    """At most ``limit`` pictures, spread evenly over the data set, so that a folder sorted by class is covered."""
    if limit is None or limit >= len(dataset):
        return dataset
    if limit < 1:
        raise SettingError(f"cannot measure on {limit} pictures; the limit must be at least 1")
    chosen = np.linspace(0, len(dataset) - 1, limit).round().astype(int).tolist()
    return dataset.with_samples(tuple(dataset.samples[i] for i in chosen))
