"""Choice of the images of an epoch's batches: their order, background images, and the partners of each image.

All depends only on the recipe's seed and the epoch, so that a resumed run sees the same batches. Images are named by
their index: 0 to N − 1 are the labeled ones, N and above the background images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.console.counts import count
from edge_ssd.errors import SettingError
from edge_ssd.training.input.images import ImageDataset
from edge_ssd.training.input.mosaic import TILES
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.workers import SINGLE_WORKER, Workers

__all__ = ["BatchImages", "choose_batch_images", "choose_partners"]

Indices = npt.NDArray[np.int64]

# Streams of random numbers beside that of the order, which is seeded by (seed, epoch) alone.
_BACKGROUND_STREAM, _PARTNER_STREAM = 1, 2


@dataclass(frozen=True)
class BatchImages:
    """Images of this worker's share of each batch.

    Attributes:
        images: int64 [steps, share].
        partners: int64 [steps, share, K], other images for each one, see :func:`choose_partners`.
    """

    images: Indices
    partners: Indices


def choose_batch_images(
    dataset: ImageDataset, recipe: Recipe, epoch: int, workers: Workers = SINGLE_WORKER
) -> BatchImages:
    """Return the images of an epoch, which has each labeled image once.

    A last, smaller batch is dropped unless it is the only one; each epoch drops other images. Several workers share
    each batch evenly and see the images that a single worker would see.

    Raises:
        SettingError: the workers cannot share a batch evenly.
    """
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(dataset))
    if recipe.batch_size % workers.count or len(order) < workers.count:
        raise SettingError(
            f"{workers.count} workers cannot share batches of {recipe.batch_size} of {count(len(order), 'image')} "
            f"evenly; set --batch-size to a multiple of {workers.count}"
        )
    num_background = recipe.background_per_batch if dataset.background is not None else 0
    labeled = min(recipe.batch_size - num_background, len(order))
    labeled = (labeled + num_background) // workers.count * workers.count - num_background
    batches = order[: len(order) // labeled * labeled].reshape(-1, labeled)
    if dataset.background is not None:
        batches = _with_background(batches, len(order), len(dataset.background), num_background, recipe.seed, epoch)
    partners = choose_partners(dataset, recipe, epoch, batches.shape)
    shape = (len(batches), workers.count, batches.shape[1] // workers.count)
    return BatchImages(
        batches.reshape(shape)[:, workers.index],
        partners.reshape(*shape, partners.shape[-1])[:, workers.index],
    )


def choose_partners(dataset: ImageDataset, recipe: Recipe, epoch: int, shape: tuple[int, ...]) -> Indices:
    """Return K other labeled images for each of ``shape`` images, int64 [*shape, K].

    They are the other tiles of a mosaic in an epoch with mosaics, then the donor of copy-paste, which has an object.
    """
    random = np.random.default_rng([recipe.seed, epoch, _PARTNER_STREAM])
    chosen = [random.integers(len(dataset), size=(*shape, TILES - 1))] if recipe.is_mosaic_epoch(epoch) else []
    if recipe.copy_paste > 0:
        with_object = np.flatnonzero((dataset.labels[..., 0] >= 0).any(axis=1))
        donors = with_object if len(with_object) else np.arange(len(dataset))
        chosen.append(random.choice(donors, size=(*shape, 1)))
    return np.concatenate(chosen, axis=-1) if chosen else np.empty((*shape, 0), np.int64)


def _with_background(batches: Indices, first: int, available: int, per_batch: int, seed: int, epoch: int) -> Indices:
    """Return ``batches`` with ``per_batch`` background images in each, at random places.

    Their indices start at ``first``; no image is repeated before the epoch has shown all of them.
    """
    random = np.random.default_rng([seed, epoch, _BACKGROUND_STREAM])
    needed = len(batches) * per_batch
    rounds = [random.permutation(available) for _ in range(-(-needed // available))]
    background = first + np.concatenate(rounds)[:needed].reshape(len(batches), per_batch)
    return random.permuted(np.concatenate([batches, background], axis=1), axis=1)
