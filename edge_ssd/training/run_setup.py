"""Setup of a training run: datasets, network and anchors of a new run, or those of a run that is resumed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_ssd.console.counts import count
from edge_ssd.data.anchor_fitting.fit import fit_anchors
from edge_ssd.data.anchor_fitting.match import match_anchors, network_boxes
from edge_ssd.data.background_images import load_background
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import open_dataset
from edge_ssd.data.manifest import Manifest
from edge_ssd.data.source import DataSource
from edge_ssd.data.training_images import DEFAULT_TRAIN_ON, load_training_images, reload_training_images
from edge_ssd.errors import DataError, SettingError
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.training.check_datasets import check_datasets
from edge_ssd.training.default_epochs import default_epochs
from edge_ssd.training.model.tiny_ssd import load_tiny_ssd
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.run_folder import RunConfig, load_manifest, load_run
from edge_ssd.training.trained_before import warn_if_trained_before

__all__ = ["RunSetup", "new_run", "resumed_run"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSetup:
    """Configuration of a run and its loaded datasets."""

    config: RunConfig
    training: Dataset
    validation: Dataset
    background: Dataset | None = None


def new_run(
    source: DataSource,
    recipe: Recipe,
    network_options: Mapping[str, Any],
    *,
    train_on: str = DEFAULT_TRAIN_ON,
    validation_split: float | None = None,
    fitted_anchors: bool = True,
    teacher: Path | None = None,
    start_from: Path | None = None,
    choose_epochs: bool = False,
    background: Sequence[Path] = (),
) -> RunSetup:
    """Return the setup of a new run.

    Args:
        network_options: arguments of :func:`edge_ssd.network.tiny_ssd`, without the labels.
        train_on: splits to train on, see :func:`~edge_ssd.data.training_images.load_training_images`.
        validation_split: fraction of the training images to hold out; None for the dataset's own split, or 0.15 if it
            has none.
        fitted_anchors: fit the anchors to the training boxes; ignored with a ``teacher``, a model file whose anchors
            are taken.
        start_from: ``.keras`` file whose weights the run starts with; validation images that it was trained on are
            reported.
        choose_epochs: replace the recipe's epochs by those of
            :func:`~edge_ssd.training.default_epochs.default_epochs`.
        background: folders of images without objects, see :mod:`edge_ssd.data.background_images`.

    Raises:
        DataError: the dataset cannot be trained on or validated on.
        SettingError: ``validation_split`` or ``train_on`` is invalid, or the teacher's feature maps differ, or a batch
            has no room for a background image.
    """
    images = load_training_images(open_dataset(source), train_on, validation_split, recipe.seed)
    check_datasets(images)
    training, validation = images.training, images.validation
    if choose_epochs:
        num_background = recipe.background_per_batch if background else 0
        recipe = replace(recipe, epochs=default_epochs(len(training), recipe.batch_size - num_background))
        what = f"{count(recipe.epochs, 'epoch')} of {count(len(training), 'training image')}"
        _log.info("%s, chosen by the number of images; --epochs sets another number", what)
    if start_from is not None:
        warn_if_trained_before(start_from, training, validation)
    network = tiny_ssd(training.labels, **network_options)
    if teacher is not None:
        network = _with_teacher_anchors(network, teacher)
    elif fitted_anchors:
        network = _with_fitted_anchors(network, training, validation, recipe.seed)
    config = RunConfig(
        network, recipe, source, images.validation_fraction, teacher, train_on, images.held_out, tuple(background)
    )
    return RunSetup(config, training, validation, _load_background(config, training, validation))


def resumed_run(
    folder: Path,
    data: Path | None = None,
    teacher: Path | None = None,
    strict: bool = False,
    background: Sequence[Path] = (),
) -> RunSetup:
    """Return the setup of the run in ``folder``; log what changed in its dataset since it was last trained.

    Args:
        data, teacher, background: their new paths, if they moved.
        strict: also stop at the first faulty label or image, as :class:`~edge_ssd.data.source.DataSource` does.

    Raises:
        DataError: there is no run, or it is damaged, or its validation images are gone.
        SettingError: ``teacher`` or ``background`` is given for a run without one.
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
    if background:
        if not config.background:
            raise SettingError(f"{folder} is trained without --background: leave it out, or start a new run")
        config = replace(config, background=tuple(background))
    images = reload_training_images(
        open_dataset(config.data),
        config.network.labels,
        config.held_out,
        config.train_on,
        config.validation_split,
        config.recipe.seed,
    )
    manifest = load_manifest(folder)
    if manifest is not None:
        for change in manifest.changes(Manifest.of(images.training, images.validation)):
            _log.warning("since the run was last trained: %s", change)
    check_datasets(images)
    training, validation = images.training, images.validation
    background_images = _load_background(config, training, validation)
    return RunSetup(replace(config, held_out=images.held_out), training, validation, background_images)


def _load_background(config: RunConfig, training: Dataset, validation: Dataset) -> Dataset | None:
    """Return the run's background images, or None; log their number and their share of a batch."""
    if not config.background:
        return None
    recipe = config.recipe
    if not recipe.background_per_batch:
        raise SettingError("--background needs batches of at least 2 images: set a higher --batch-size")
    labeled = training.with_samples(training.samples + validation.samples)
    samples = load_background(config.background, labeled, decode=False)
    if not samples:
        raise DataError(f"{config.background[0]}: all of its images are in the dataset too: leave out --background")
    background = Dataset(config.background[0], training.labels, samples, training.format)
    _log.info(
        "background: %s of %s, %d in each batch of %d",
        count(len(background), "image"),
        ", ".join(map(str, config.background)),
        recipe.background_per_batch,
        recipe.batch_size,
    )
    return background


def _with_teacher_anchors(network: Network, teacher: Path) -> Network:
    """Return ``network`` with the teacher's anchors, which distillation needs."""
    levels = load_tiny_ssd(teacher).network.levels
    teacher_maps, maps = ([(level.height, level.width) for level in each] for each in (levels, network.levels))
    if teacher_maps != maps:
        raise SettingError(f"{teacher}: its feature maps are {teacher_maps}, those of the network to train {maps}")
    return replace(network, levels=levels)


def _with_fitted_anchors(network: Network, training: Dataset, validation: Dataset, seed: int) -> Network:
    """Return ``network`` with anchors fitted to the training boxes; log how many boxes match them."""
    boxes, others = (network_boxes(dataset, network.input) for dataset in (training, validation))
    fitted = replace(network, levels=fit_anchors(boxes, network.levels, seed))
    # As numbers, since a share of a few validation boxes says little.
    old, new, old_others, new_others = (
        round(match.matched * match.objects)
        for match in (match_anchors(own, each.levels) for own in (boxes, others) for each in (network, fitted))
    )
    _log.info(
        "anchors fitted: %d of %s match one (%d with the book's anchors), %d of %s (%d)",
        new,
        count(len(boxes), "training box"),
        old,
        new_others,
        count(len(others), "validation box"),
        old_others,
    )
    return fitted
