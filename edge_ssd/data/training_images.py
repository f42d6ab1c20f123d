"""Which images a model is trained on, and which ones validate it after each epoch.

A model is trained on the split "train" or on an undivided dataset; on "val" and "test" only where the user names them.
It is validated on the first of "val" and "test" that is not trained on. Without one, a share of the training images is
held out: drawn at random once, and kept by name when the run is resumed.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Dataset, problem_lines
from edge_ssd.data.held_out import HeldOut
from edge_ssd.data.hold_out import hold_out
from edge_ssd.data.load import DatasetFolder, Split
from edge_ssd.data.split_names import SPLIT_OF_WORD
from edge_ssd.data.splits import split_dataset
from edge_ssd.errors import DataError, SettingError

__all__ = ["DEFAULT_TRAIN_ON", "TrainingImages", "describe_division", "load_training_images", "reload_training_images"]

_log = logging.getLogger(__name__)

DEFAULT_TRAIN_ON = "train"
"""Split that is trained on unless others are named; all images of an undivided dataset."""

_ALL = "all"
_DEFAULT_VALIDATION_FRACTION = 0.15


@dataclass(frozen=True)
class TrainingImages:
    """Images of a training run.

    Attributes:
        validation_name: what the validation images are, for messages: "split val".
        validation_fraction: share of the training images that is held out; None if a split is used.
        held_out: names of the validation images, unless they are those that every command measures on by default.
    """

    training: Dataset
    validation: Dataset
    validation_name: str
    validation_fraction: float | None
    held_out: HeldOut


def load_training_images(
    folder: DatasetFolder, train_on: str = DEFAULT_TRAIN_ON, validation_fraction: float | None = None, seed: int = 0
) -> TrainingImages:
    """Return the images of a new run. What was found and decided is logged, faults of the dataset first.

    Args:
        train_on: splits to train on, separated by commas, or "all".
        validation_fraction: share of the training images to hold out even if there is a validation split; None for
            that split, or 15 % without one.
        seed: of the random choice of the images that are held out.

    Raises:
        SettingError: the fraction is not between 0 and 1, or ``train_on`` is invalid.
        DataError: there is nothing to train on, or as :meth:`DatasetFolder.load`.
    """
    if validation_fraction is not None and not 0 < validation_fraction < 1:
        raise SettingError(f"--validation-split must be between 0 and 1, got {validation_fraction}")
    splits = _choose_splits(folder, train_on)
    training = _load_splits(folder, splits)
    candidates = _validation_candidates(folder, splits)
    split, validation, errors = _load_first(folder, candidates if validation_fraction is None else (), training.labels)
    _log_findings(folder, training, *filter(None, [validation]))
    for name, error in errors.items():
        _log.warning("the %s split cannot be used for validation: %s", name, error)
    if validation is not None:
        if split != "val":
            what = f"validation: on the {split} split ({count(len(validation), 'image')}), since there is no other"
            _log.info("%s; the final AP on it is then no measurement on new images", what)
        usable = [name for name in ("val", "test") if name in folder.usable_splits]
        by_default = train_on == DEFAULT_TRAIN_ON and split == usable[0]
        held_out = HeldOut() if by_default else HeldOut.of(validation)
        return TrainingImages(training, validation, f"split {split}", None, held_out)
    fraction = _DEFAULT_VALIDATION_FRACTION if validation_fraction is None else validation_fraction
    total = len(training)
    training, validation = hold_out(training, fraction, seed, folder.image_checks)
    are_held_out = f"{'is' if len(validation) == 1 else 'are'} held out at random"
    chosen = f"{len(validation)} of {count(total, 'training image')} ({len(validation) / total:.0%}) {are_held_out}"
    if validation_fraction is None:
        _log.info("no validation split: %s; --validation-split sets the share", chosen)
    else:
        unused = f"; the {' and '.join(candidates)} split is not used" if candidates else ""
        _log.info("validation: %s%s", chosen, unused)
    return TrainingImages(training, validation, "held-out images", fraction, HeldOut.of(validation))


def reload_training_images(
    folder: DatasetFolder,
    labels: Sequence[str],
    held_out: HeldOut | None,
    train_on: str = DEFAULT_TRAIN_ON,
    validation_fraction: float | None = None,
    seed: int = 0,
) -> TrainingImages:
    """Return the images of a run that is resumed: those that were held out are held out again, by their names.

    Args:
        held_out: as :class:`TrainingImages` had it; None for a run of an earlier version, which did not record it: the
            images are chosen by ``seed`` again.

    Raises:
        DataError: as :func:`load_training_images`; or no image that was held out exists any more.
    """
    splits = _choose_splits(folder, train_on)
    training = _load_splits(folder, splits, labels)
    if validation_fraction is None:
        split, validation, errors = _load_first(folder, _validation_candidates(folder, splits), labels)
        if validation is None:
            reason = "; ".join(map(str, errors.values())) or f"{folder.source.folder}: it has no validation split"
            raise DataError(f"{reason}, which the run was started with: complete the dataset, or start a new run")
        _log_findings(folder, training, validation)
        return TrainingImages(training, validation, f"split {split}", None, held_out or HeldOut())
    _log_findings(folder, training)
    if held_out is None or not held_out.names:
        training, validation = split_dataset(training, 1 - validation_fraction, seed)
        return TrainingImages(training, validation, "held-out images", validation_fraction, HeldOut.of(validation))
    others, held = held_out.divide(training)
    if not held or not others:
        what = f"none of the {count(len(held_out.names), 'image')}" if not held else "nothing but images"
        raise DataError(
            f"{training.root}: it has {what} that the run held out for validation (such as {held_out.names[0]!r}): "
            "name the folder that the run was started with, or start a new run"
        )
    validation = dataclasses.replace(training, samples=held, problems=(), notices=())
    return TrainingImages(training.with_samples(others), validation, "held-out images", validation_fraction, held_out)


def describe_division(folder: DatasetFolder) -> str:
    """Return what a training without options does with a dataset that lacks a split: one line, or "" if it has all."""
    usable = folder.usable_splits
    held_out = f"'edge-ssd train' holds out {_DEFAULT_VALIDATION_FRACTION:.0%} at random for validation"
    if not folder.splits:
        return f"not divided: {held_out}; 'edge-ssd data split' divides it for good"
    if "train" not in usable:
        return f"no train split: 'edge-ssd train' needs --train-on {','.join(usable)}" if usable else ""
    if "val" in usable:
        return ""
    if "test" in usable:
        return "no validation split: 'edge-ssd train' validates on test; 'edge-ssd data split' divides train for that"
    return f"no validation split: of train, {held_out}; 'edge-ssd data split' divides it for good"


def _choose_splits(folder: DatasetFolder, train_on: str) -> tuple[Split | None, ...]:
    """Return the splits to load for training; (None,) for all images of an undivided dataset."""
    root, usable = folder.source.folder, folder.usable_splits
    if not folder.splits:
        if train_on in (DEFAULT_TRAIN_ON, _ALL):
            return (None,)
        raise SettingError(f"--train-on {train_on}: {root} is not divided into splits: leave out --train-on")
    if train_on == _ALL and usable:
        return usable
    words = [word.strip() for word in train_on.split(",")]
    splits: list[Split] = []
    for word in words if train_on != _ALL else ["train"]:
        if word not in SPLIT_OF_WORD:
            raise SettingError(f"--train-on: expected splits such as train,val, or all; got {train_on!r}")
        split = cast(Split, SPLIT_OF_WORD[word])
        if split in folder.annotations.unusable:
            raise DataError(folder.annotations.unusable[split])
        if split not in usable:
            raise DataError(f"{root}: {_no_split_message(folder, split)}")
        if split not in splits:
            splits.append(split)
    return tuple(splits)


def _no_split_message(folder: DatasetFolder, split: str) -> str:
    counts = {name: len(folder.located.splits[name]) for name in folder.usable_splits}
    found = " and ".join(f"{name} ({count(number, 'image')})" for name, number in counts.items())
    if not found:
        return f"it has no images in the {split} split: complete the dataset"
    if split != "train":
        return f"--train-on: it has no {split} split, only {found}"
    names = ",".join(counts)
    options = f"--train-on {names}" if len(counts) == 1 else f"--train-on {next(iter(counts))} or --train-on all"
    return (
        f"no images to train on: names of its folders or files state {found} and no train split. To train on these, "
        f"name them: {options}; to divide the images anew, use edge-ssd data split"
    )


def _validation_candidates(folder: DatasetFolder, splits: Sequence[Split | None]) -> tuple[Split, ...]:
    """Return the splits to validate on, the preferred one first; unusable ones are included."""
    candidates = cast("tuple[Split, ...]", ("val", "test"))
    return tuple(split for split in candidates if split in folder.splits and split not in splits)


def _load_first(
    folder: DatasetFolder, candidates: Sequence[Split], labels: Sequence[str]
) -> tuple[Split | None, Dataset | None, dict[str, DataError]]:
    """Return the first split that can be loaded and its images, and the errors of those before it."""
    errors: dict[str, DataError] = {}
    for split in candidates:
        try:
            return split, folder.load(split, labels), errors
        except DataError as error:
            if folder.source.strict:
                raise
            errors[split] = error
    return None, None, errors


def _load_splits(folder: DatasetFolder, splits: Sequence[Split | None], labels: Sequence[str] | None = None) -> Dataset:
    datasets = [folder.load(split, labels) for split in splits]
    return dataclasses.replace(
        datasets[0],
        samples=tuple(sample for dataset in datasets for sample in dataset.samples),
        problems=tuple(dict.fromkeys(problem for dataset in datasets for problem in dataset.problems)),
        notices=tuple(dict.fromkeys(notice for dataset in datasets for notice in dataset.notices)),
    )


def _log_findings(folder: DatasetFolder, *datasets: Dataset) -> None:
    found = (problem for dataset in datasets for problem in dataset.problems)
    problems = tuple(dict.fromkeys((*folder.copies, *found)))
    _log_all(logging.WARNING, problem_lines(problems))
    _log_all(logging.INFO, list(dict.fromkeys(str(notice) for dataset in datasets for notice in dataset.notices)))


def _log_all(level: int, lines: Sequence[str]) -> None:
    for line in lines:
        _log.log(level, "%s", line)
