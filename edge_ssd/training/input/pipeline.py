"""Input pipeline: shuffling, batching and augmentation in ``tf.data``."""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from edge_ssd.boxes import FloatArray
from edge_ssd.runtime.preprocess import ImageArray
from edge_ssd.training.input.augment import augment
from edge_ssd.training.input.batch_images import choose_batch_images
from edge_ssd.training.input.images import ImageDataset
from edge_ssd.training.input.label_rows import mosaic_rows
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.workers import SINGLE_WORKER, Workers

__all__ = ["augment_batch", "training_batches"]


def training_batches(
    dataset: ImageDataset, recipe: Recipe, epoch: int, workers: Workers = SINGLE_WORKER
) -> tf.data.Dataset:
    """Return the batches of an epoch: float32 images [B, H, W, 3] in 0–255 and labels [B, M, 5].

    The images are those of :func:`~edge_ssd.training.input.batch_images.choose_batch_images`. They and the augmentation
    depend only on the recipe's seed and the epoch, so that a resumed run sees the same batches. Several workers see the
    images that a single worker would see, with other augmentations.

    Raises:
        SettingError: the workers cannot share a batch evenly.
    """
    chosen = choose_batch_images(dataset, recipe, epoch, workers)
    num_steps, share = chosen.images.shape
    num_partners = chosen.partners.shape[-1]
    rows = mosaic_rows(dataset.labels) if recipe.mosaic > 0 else None

    def fetch(step: int) -> tuple[ImageArray, FloatArray]:
        return dataset.take(chosen.images[step])

    def fetch_partners(step: int) -> tuple[ImageArray, FloatArray]:
        return dataset.take(chosen.partners[step])

    def prepare(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = _fetched(fetch, step, (share,), dataset)
        partners = _fetched(fetch_partners, step, (share, num_partners), dataset) if num_partners else None
        return augment_batch(images, labels, recipe, epoch, step * workers.count + workers.index, partners, rows)

    return tf.data.Dataset.range(num_steps).map(prepare, num_parallel_calls=1).prefetch(2)


def augment_batch(
    images: tf.Tensor,
    labels: tf.Tensor,
    recipe: Recipe,
    epoch: int,
    step: tf.Tensor | int,
    partners: tuple[tf.Tensor, tf.Tensor] | None = None,
    label_rows: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Augment images [B, H, W, 3] and labels [B, M, 5]; the recipe's seed, ``epoch`` and ``step`` fix the result.

    ``partners`` are images [B, K, H, W, 3] and labels [B, K, M, 5] of
    :func:`~edge_ssd.training.input.batch_images.choose_partners`; None if K is 0. ``label_rows`` are
    those of :func:`~edge_ssd.training.input.label_rows.mosaic_rows` if the recipe has mosaics.
    """
    seed = tf.stack([tf.cast(recipe.seed * 100_003 + epoch, tf.int32), tf.cast(step, tf.int32)])
    return _augment_function(recipe, recipe.is_mosaic_epoch(epoch), label_rows)(images, labels, seed, partners)


def _fetched(
    fetch: Callable[[int], tuple[ImageArray, FloatArray]],
    step: tf.Tensor,
    shape: tuple[int, ...],
    dataset: ImageDataset,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the images [*shape, H, W, 3] and labels [*shape, M, 5] of ``fetch`` in the graph."""
    images, labels = tf.numpy_function(fetch, [step], (tf.uint8, tf.float32), stateful=False)
    images.set_shape((*shape, *dataset.images.shape[1:]))
    labels.set_shape((*shape, *dataset.labels.shape[1:]))
    return images, labels


@functools.cache
def _augment_function(
    recipe: Recipe, mosaics: bool, label_rows: int | None
) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Return :func:`augment` with the recipe's values as a graph function, traced once for all epochs.

    ``mosaics`` selects that of the epochs with mosaics.
    """
    return tf.function(
        functools.partial(
            augment,
            horizontal=recipe.flip,
            vertical=recipe.vertical_flip,
            zoom_factor=recipe.zoom,
            color=recipe.color,
            crop=recipe.crop,
            expand_factor=recipe.expand,
            hide_cut=recipe.hide_cut,
            mosaics=mosaics,
            label_rows=label_rows,
            paste_probability=recipe.copy_paste,
        )
    )
