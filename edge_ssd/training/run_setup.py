"""Setup of a training run: datasets, network and anchors of a new run, or those of a run that is resumed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_ssd.data.anchor_fitting.fit import fit_anchors
from edge_ssd.data.anchor_fitting.match import match_anchors, network_boxes
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import open_dataset
from edge_ssd.data.source import DataSource
from edge_ssd.data.splits import choose_validation_fraction, load_train_and_validation
from edge_ssd.errors import SettingError
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.run_folder import RunConfig, load_run

__all__ = ["RunSetup", "new_run", "resumed_run"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSetup:
    """Configuration of a run and its loaded datasets."""

    config: RunConfig
    training: Dataset
    validation: Dataset


def new_run(
    source: DataSource,
    recipe: Recipe,
    network_options: Mapping[str, Any],
    *,
    validation_split: float | None = None,
    fitted_anchors: bool = True,
    teacher: Path | None = None,
) -> RunSetup:
    """Return the setup of a new run.

    Args:
        network_options: arguments of :func:`edge_ssd.network.tiny_ssd`, without the labels.
        validation_split: fraction of the training images to hold out; None for the dataset's own split, or 0.15 if it
            has none.
        fitted_anchors: fit the anchors to the training boxes; ignored with a ``teacher``, a model file whose anchors
            are taken.

    Raises:
        SettingError: ``validation_split`` is not between 0 and 1, or the teacher's feature maps differ.
    """
    folder = open_dataset(source)
    validation_split = choose_validation_fraction(folder, validation_split)
    training, validation = load_train_and_validation(folder, validation_split, recipe.seed)
    network = tiny_ssd(training.labels, **network_options)
    if teacher is not None:
        network = _with_teacher_anchors(network, teacher)
    elif fitted_anchors:
        network = _with_fitted_anchors(network, training, validation, recipe.seed)
    return RunSetup(RunConfig(network, recipe, source, validation_split, teacher), training, validation)


def resumed_run(folder: Path, data: Path | None = None, teacher: Path | None = None, strict: bool = False) -> RunSetup:
    """Return the setup of the run in ``folder``; ``data`` and ``teacher`` are their new paths, if they moved.

    ``strict`` also stops at the first faulty label or image, as :class:`~edge_ssd.data.source.DataSource` does.

    Raises:
        DataError: there is no run, or it is damaged.
        SettingError: ``teacher`` is given for a run without a teacher.
    """
    config = load_run(folder)
    if data is not None:
        config = replace(config, data=replace(config.data, folder=data))
    if strict:
        config = replace(config, data=replace(config.data, strict=True))
    if teacher is not None:
        if config.teacher is None:
            raise SettingError(f"{folder} is trained without a teacher: leave out --teacher, or start a new run")
        config = replace(config, teacher=teacher)
    opened = open_dataset(config.data)
    datasets = load_train_and_validation(opened, config.validation_split, config.recipe.seed, config.network.labels)
    return RunSetup(config, *datasets)


def _with_teacher_anchors(network: Network, teacher: Path) -> Network:
    """Return ``network`` with the teacher's anchors, which distillation needs."""
    levels = load_tiny_ssd(teacher).network.levels
    teacher_maps, maps = ([(level.height, level.width) for level in each] for each in (levels, network.levels))
    if teacher_maps != maps:
        raise SettingError(f"{teacher}: its feature maps are {teacher_maps}, those of the network to train {maps}")
    return replace(network, levels=levels)


def _with_fitted_anchors(network: Network, training: Dataset, validation: Dataset, seed: int) -> Network:
    """Return ``network`` with anchors fitted to the training boxes; log how well they match the validation boxes."""
    fitted = replace(network, levels=fit_anchors(network_boxes(training, network.input), network.levels, seed))
    boxes = network_boxes(validation, network.input)
    before, after = (match_anchors(boxes, levels) for levels in (network.levels, fitted.levels))
    _log.info(
        "anchors fitted: %.1f%% → %.1f%% of the validation boxes match one, "
        "%.1f%% → %.1f%% lie in the receptive field of its level",
        *(100 * share for share in (before.matched, after.matched, before.seen, after.seen)),
    )
    return fitted
