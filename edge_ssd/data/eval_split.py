"""Which images of a dataset a trained model is measured on, apart from those it was trained and is calibrated on."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection, Sequence
from typing import Literal

from edge_ssd.console.counts import count
from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.held_out import HeldOut, image_name
from edge_ssd.data.held_out_images import find_held_out, is_same_dataset, name_some
from edge_ssd.data.load import DatasetFolder
from edge_ssd.data.splits import load_training_split, subsample_evenly
from edge_ssd.errors import DataError

__all__ = ["EVAL_SPLITS", "EvalSplit", "load_calibration_split", "load_eval_split"]

_log = logging.getLogger(__name__)

EvalSplit = Literal["train", "val", "test", "all"]
EVAL_SPLITS: tuple[EvalSplit, ...] = ("train", "val", "test", "all")


def load_eval_split(
    folder: DatasetFolder,
    labels: Sequence[str],
    split: EvalSplit | None = None,
    limit: int | None = None,
    alternative: str = "use --split train",
    *,
    held_out: HeldOut | None = None,
    listed_in: str = "",
    to_measure: bool = True,
) -> tuple[Dataset, str]:
    """Return the images to measure a model on, and the name of their split.

    These are the images that the model's training held out ("held-out"), where it names them: the training may have
    used any others. Else they are the validation split, or all images of an undivided dataset, and a log line says so.

    Args:
        labels: the model's class names, in the order of its class ids.
        split: None for the images above; "all" for all images. For "val" the validation split precedes the held-out
            images. The test split takes the place of a missing validation split.
        limit: maximum number of images, at equal distances; None for all.
        alternative: advice for the error message if there are only training images.
        held_out: the images that the model's training held out; None if the model does not state them.
        listed_in: where the names of the held-out images are listed, for the log.
        to_measure: whether average precision is measured: images without any object are then an error, since it is
            undefined. Else the images are only used to choose a self-test from.

    Raises:
        DataError: as :meth:`DatasetFolder.load` and :meth:`DatasetFolder.drop_damaged`; or only training images exist
            and ``split`` does not select them; or no image has an object.
    """
    if split == "all":
        dataset, name = folder.load(None, labels), "all"
    elif split is None or split == "val":
        dataset, name = _load_validation(folder, labels, split, alternative, held_out, listed_in, to_measure)
    else:
        dataset, name = folder.load(split, labels), split
    dataset = dataclasses.replace(dataset, problems=(*folder.copies, *dataset.problems))
    for notice in dataset.notices:
        if notice.doubt == "classes":
            _log.warning("%s", notice)
    with Progress("checking", "images") as progress:
        dataset = folder.drop_damaged(subsample_evenly(dataset, limit), progress)
    if to_measure and not dataset.num_boxes:
        raise DataError(
            f"{dataset.root}: none of the {count(len(dataset), 'image')} to measure on ({name}) has an object, so "
            "average precision is undefined; use images with labels"
        )
    return dataset, name


def load_calibration_split(folder: DatasetFolder, labels: Sequence[str], held_out: HeldOut | None) -> Dataset:
    """Return the training images, or all of an undivided dataset, without those that training held out.

    All are returned if no others would remain. Raises the errors of :meth:`DatasetFolder.load`.
    """
    dataset = load_training_split(folder, labels)
    if held_out is None:
        return dataset
    indices = find_held_out(dataset, held_out)
    if len(indices) == len(dataset):
        return dataset
    return _take(dataset, [index for index in range(len(dataset)) if index not in indices])


def _load_validation(
    folder: DatasetFolder,
    labels: Sequence[str],
    split: Literal["val"] | None,
    alternative: str,
    held_out: HeldOut | None,
    listed_in: str,
    to_measure: bool,
) -> tuple[Dataset, str]:
    """Return the images and the name of :func:`load_eval_split` for the ``split`` "val" or None."""
    root, unusable = folder.source.folder, folder.annotations.unusable
    found: frozenset[int] = frozenset()
    is_val = split == "val" and "val" in folder.splits and "val" not in unusable
    has_training_images = not folder.splits or "train" in folder.splits
    if held_out is not None and held_out.names and not is_val:
        dataset = _load_usable_splits(folder, labels)
        found = find_held_out(dataset, held_out)
        # A dataset with other splits only is another one than was trained on, unless it has all of the images
        # (train --train-on val).
        has_all = len(found) == len(held_out.names)
        if is_same_dataset(len(found), held_out, len(dataset)) and (has_training_images or has_all):
            chosen = _take(dataset, found)
            names = name_some([image_name(sample.path, dataset.root) for sample in chosen.samples])
            missing = len(held_out.names) - len(found)
            notes = (
                f"; all are listed in {listed_in}" if listed_in else "",
                f"; {missing} more {'is' if missing == 1 else 'are'} missing",
            )
            _log.info(
                "%s: %s the %d of %s that training held out (%s)%s",
                root,
                "measuring on" if to_measure else "choosing the self-test from",
                len(found),
                count(len(dataset), "image"),
                names,
                "".join(notes if missing else notes[:1]),
            )
            return chosen, "held-out"
    validation = folder.evaluation_split
    if validation is not None and validation not in unusable:
        return folder.load(validation, labels), validation
    if fault := unusable.get("val") or unusable.get("test"):
        raise DataError(f"{fault}, or {alternative}")
    if folder.splits:
        raise DataError(
            f"{root}: it has training images only, which give no fair measurement; add a validation split, or "
            f"{alternative}"
        )
    dataset = folder.load(split, labels)  # raises for "val": the dataset has no splits
    if to_measure:
        _log_use_of_all(dataset, held_out, len(found))
    return dataset, "all"


def _load_usable_splits(folder: DatasetFolder, labels: Sequence[str]) -> Dataset:
    """Return the images of all splits that can be loaded; raise DataError if none can."""
    datasets, errors = [], []
    for split in folder.splits or (None,):
        try:
            datasets.append(folder.load(split, labels))
        except DataError as error:
            errors.append(error)
    if not datasets:
        raise errors[0]
    samples = tuple(sample for dataset in datasets for sample in dataset.samples)
    problems = tuple(dict.fromkeys(problem for dataset in datasets for problem in dataset.problems))
    return dataclasses.replace(datasets[0], samples=samples, problems=problems)


def _log_use_of_all(dataset: Dataset, held_out: HeldOut | None, found: int) -> None:
    every = f"{dataset.root}: not divided into train and val; measuring on all {count(len(dataset), 'image')}"
    trained = "the score may include images that the model was trained on"
    if held_out is None:
        _log.warning("%s. The model does not state which images its training held out: %s", every, trained)
    elif not held_out.names:
        _log.warning("%s. The model was trained on a dataset with splits: if it contains these, %s", every, trained)
    elif not found:
        _log.info("%s: none of the %s that training held out is among them", every, count(len(held_out.names), "image"))
    else:
        _log.warning(
            "%s: only %d of the %s that training held out are among them",
            every,
            found,
            count(len(held_out.names), "image"),
        )


def _take(dataset: Dataset, indices: Collection[int]) -> Dataset:
    return dataset.with_samples(tuple(dataset.samples[index] for index in sorted(indices)))
