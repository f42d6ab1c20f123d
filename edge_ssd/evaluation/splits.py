"""The images that a model is trained, calibrated and measured on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import DatasetFolder, Split
from edge_ssd.errors import DataError, SettingError

__all__ = ["load_eval_split", "load_training_split", "subsample_evenly"]


def load_eval_split(
    folder: DatasetFolder,
    labels: Sequence[str],
    split: Split | None = None,
    limit: int | None = None,
    alternative: str = "use --split train",
) -> tuple[Dataset, str]:
    """Return the images to measure a model on, and the name of their split.

    Args:
        labels: the model's class names, in the order of its class ids.
        split: None for the validation split, or for all images of an undivided dataset. The test split takes the
            place of a missing validation split.
        limit: the maximum number of images, see :func:`subsample_evenly`.
        alternative: advice for the error message if there are only training images.

    Raises:
        DataError: as :meth:`DatasetFolder.load`; or only training images exist and ``split`` does not select them.
    """
    if split == "val":
        split = folder.validation_split or split
    if split is None:
        if not folder.splits:
            return subsample_evenly(folder.load(None, labels), limit), "all"
        split = folder.validation_split
        if split is None:
            raise DataError(
                f"{folder.source.folder}: it has training images only, which give no fair measurement; add a "
                f"validation split, or {alternative}"
            )
    return subsample_evenly(folder.load(split, labels), limit), split


def load_training_split(folder: DatasetFolder, labels: Sequence[str] | None = None) -> Dataset:
    """Return the training images, which are all images if there is no training split."""
    return folder.load("train" if "train" in folder.splits else None, labels)


def subsample_evenly(dataset: Dataset, limit: int | None) -> Dataset:
    """Return at most ``limit`` samples at equal distances, so that a folder sorted by class is covered."""
    if limit is None or limit >= len(dataset):
        return dataset
    if limit < 1:
        raise SettingError(f"the limit must be at least 1 image, got {limit}")
    indices = np.linspace(0, len(dataset) - 1, limit).round().astype(int).tolist()
    return dataset.with_samples(tuple(dataset.samples[index] for index in indices))
