"""Which images of a dataset a model is trained and validated on, and the division of a dataset."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.dataset import Dataset, problem_lines
from edge_ssd.data.load import DatasetFolder
from edge_ssd.errors import DataError, SettingError

__all__ = [
    "choose_validation_fraction",
    "combine_splits",
    "load_every_split",
    "load_train_and_validation",
    "load_training_split",
    "split_dataset",
    "subsample_evenly",
]

_log = logging.getLogger(__name__)

_DEFAULT_VALIDATION_FRACTION = 0.15


def choose_validation_fraction(folder: DatasetFolder, requested: float | None = None) -> float | None:
    """Return the fraction of the training images to hold out for validation; None if the dataset has a split for it.

    Args:
        requested: the user's fraction, which also replaces an existing split; None holds out 15 % of a dataset
            without one, which is logged. Other values than between 0 and 1 raise SettingError.
    """
    if requested is not None:
        if not 0 < requested < 1:
            raise SettingError(f"--validation-split must be between 0 and 1, got {requested}")
        return requested
    if "train" in folder.splits and folder.evaluation_split is not None:
        return None
    share = f"{_DEFAULT_VALIDATION_FRACTION:.0%}"
    _log.info("%s has no validation split: %s of its training images are held out", folder.source.folder, share)
    return _DEFAULT_VALIDATION_FRACTION


def load_train_and_validation(
    folder: DatasetFolder, validation_fraction: float | None, seed: int, labels: Sequence[str] | None = None
) -> tuple[Dataset, Dataset]:
    """Return the training and the validation images; their notices and problems are logged.

    Args:
        validation_fraction: share of the training images to hold out; None to use the dataset's validation split.
        seed: of the random choice of the images that are held out.
        labels: as of :meth:`DatasetFolder.load`, whose errors are raised.
    """
    training = load_training_split(folder, labels)
    if validation_fraction is None:
        validation = folder.load(folder.evaluation_split or "val", training.labels)
    else:
        training, validation = split_dataset(training, 1 - validation_fraction, seed)
    for notice in dict.fromkeys((*training.notices, *validation.notices)):
        _log.info("%s", notice)
    for line in problem_lines(tuple(dict.fromkeys((*folder.copies, *training.problems, *validation.problems)))):
        _log.warning("%s", line)
    return training, validation


def load_every_split(
    folder: DatasetFolder,
    labels: Sequence[str] | None = None,
    strict: bool = False,
    progress: ProgressCallback = no_progress,
) -> dict[str, Dataset]:
    """Return split → its samples, the only key "" for an undivided dataset; notices and problems are logged.

    A split that cannot be used is left out with a warning if another one can. Arguments and errors are those of
    :meth:`DatasetFolder.load`.
    """
    splits: dict[str, Dataset] = {}
    errors: dict[str, DataError] = {}
    for split in folder.splits or (None,):
        try:
            splits[split or ""] = folder.load(split, labels, strict, progress=progress)
        except DataError as error:
            errors[split or ""] = error
            if strict:
                raise
    if not splits:
        raise next(iter(errors.values()))
    for notice in dict.fromkeys(notice for dataset in splits.values() for notice in dataset.notices):
        _log.info("%s", notice)
    for line in problem_lines(tuple(dict.fromkeys(p for dataset in splits.values() for p in dataset.problems))):
        _log.warning("%s", line)
    for name, reason in errors.items():
        _log.warning("%s is left out: %s", name, reason)
    return splits


def combine_splits(splits: Mapping[str, Dataset]) -> Dataset:
    """Return all samples of :func:`load_every_split` as one dataset."""
    samples = tuple(sample for dataset in splits.values() for sample in dataset.samples)
    return next(iter(splits.values())).with_samples(samples)


def load_training_split(folder: DatasetFolder, labels: Sequence[str] | None = None) -> Dataset:
    """Return the training split, or all images without one; ``labels`` as for :meth:`DatasetFolder.load`."""
    return folder.load("train" if "train" in folder.splits else None, labels)


def split_dataset(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Divide a dataset at random into two that keep the order of samples; raise DataError for a single sample.

    The first has ``fraction`` of the samples, in (0, 1), and the problems and notices; each has at least one sample.
    """
    if not 0 < fraction < 1:
        raise DataError(f"the fraction of a split must be between 0 and 1, got {fraction!r}")
    total = len(dataset.samples)
    if total < 2:
        raise DataError(f"{dataset.root}: a single image cannot be divided into two splits: label more images")
    count = min(max(round(total * fraction), 1), total - 1)
    chosen = {int(index) for index in np.random.default_rng(seed).permutation(total)[:count]}
    first = tuple(sample for index, sample in enumerate(dataset.samples) if index in chosen)
    second = tuple(sample for index, sample in enumerate(dataset.samples) if index not in chosen)
    return dataset.with_samples(first), Dataset(dataset.root, dataset.labels, second, dataset.format)


def subsample_evenly(dataset: Dataset, limit: int | None) -> Dataset:
    """Return at most ``limit`` samples (None: all) at equal distances, so that a folder sorted by class is covered."""
    if limit is None or limit >= len(dataset):
        return dataset
    if limit < 1:
        raise SettingError(f"the limit must be at least 1 image, got {limit}")
    indices = np.linspace(0, len(dataset) - 1, limit).round().astype(int).tolist()
    return dataset.with_samples(tuple(dataset.samples[index] for index in indices))
