"""Random division of a dataset, and several or some of its images as one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.dataset import Dataset, problem_lines
from edge_ssd.data.load import DatasetFolder
from edge_ssd.errors import DataError, SettingError

__all__ = [
    "combine_splits",
    "load_every_split",
    "load_training_split",
    "split_dataset",
    "subsample_evenly",
]

_log = logging.getLogger(__name__)


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
    """Return the images to calibrate or fit anchors on: the training split, or all images without one (logged).

    To train on, :func:`edge_ssd.data.training_images.load_training_images` chooses more strictly. ``labels`` as for
    :meth:`DatasetFolder.load`.
    """
    if "train" in folder.splits or not folder.splits:
        return folder.load("train" if folder.splits else None, labels)
    _log.info("%s: no training split; using %s", folder.source.folder, " and ".join(folder.splits))
    return folder.load(None, labels)


def split_dataset(dataset: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Divide a dataset at random into two that keep the order of samples; raise DataError for a single sample.

    The first has ``fraction`` of the samples, in (0, 1), and the problems and notices; each has at least one sample.
    Each has an image with objects, if two images have some.
    """
    if not 0 < fraction < 1:
        raise DataError(f"the fraction of a split must be between 0 and 1, got {fraction!r}")
    total = len(dataset.samples)
    if total < 2:
        raise DataError(f"{dataset.root}: a single image cannot be divided into two splits: label more images")
    count = min(max(round(total * fraction), 1), total - 1)
    order: list[int] = np.random.default_rng(seed).permutation(total).tolist()
    parts = [order[:count], order[count:]]
    for part, other in (parts, reversed(parts)):
        in_part, in_other = (
            [position for position, index in enumerate(indices) if len(dataset.samples[index].boxes_xyxy)]
            for indices in (part, other)
        )
        if not in_part and len(in_other) > 1:
            part[-1], other[in_other[-1]] = other[in_other[-1]], part[-1]
    chosen = set(parts[0])
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
