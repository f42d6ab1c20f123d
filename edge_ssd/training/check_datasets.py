"""Check of a run's datasets before the first step: what would make hours of training useless."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.training_images import TrainingImages
from edge_ssd.errors import DataError

__all__ = ["check_datasets"]

_log = logging.getLogger(__name__)

_NAMED = 10


def check_datasets(images: TrainingImages) -> None:
    """Warn about classes that cannot be learned or measured.

    Raises:
        DataError: the training or the validation images have no object at all.
    """
    training, validation = images.training, images.validation
    trained, measured = _count_boxes(training) > 0, _count_boxes(validation) > 0
    errors = []
    if not trained.any():
        errors.append(
            f"{training.root}: none of the {count(len(training), 'training image')} has an object, so there is nothing "
            "to learn: label some objects, and check --classes"
        )
    if not measured.any():
        errors.append(_no_validation_object(images))
    if errors:
        raise DataError("; ".join(errors))
    advice = "label some there, or select other classes with --classes"
    if unlearned := _names(training, measured & ~trained):
        _log.warning("no training box of %s, only validation boxes: not learned, its AP is 0; %s", unlearned, advice)
    if unused := _names(training, ~measured & ~trained):
        _log.warning("no box of %s in training or validation: not learned; %s", unused, advice)
    if unmeasured := _names(training, trained & ~measured):
        _log.info("no validation box of %s: left out of the AP", unmeasured)


def _no_validation_object(images: TrainingImages) -> str:
    validation = count(len(images.validation), "validation image")
    start = f"{images.validation.root}: none of the {validation} ({images.validation_name}) has an object"
    if images.validation_fraction is None:
        advice = "hold out training images with --validation-split 0.15, or add labeled images to that split"
    else:
        advice = "label more images, or hold out a larger share with --validation-split"
    return f"{start}, so that no average precision can be measured: {advice}"


def _count_boxes(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Return the number of boxes of each class, int64 [number of classes]."""
    ids = np.concatenate([sample.class_ids for sample in dataset.samples])
    return np.bincount(ids, minlength=len(dataset.labels))


def _names(dataset: Dataset, selected: npt.NDArray[np.bool_]) -> str:
    """Return the names of the selected classes [number of classes] as text, the first ten if there are more."""
    names = [repr(name) for name, chosen in zip(dataset.labels, selected, strict=True) if chosen]
    others = f" and {count(len(names) - _NAMED, 'other class')}" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + others
