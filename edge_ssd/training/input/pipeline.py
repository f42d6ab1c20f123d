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
    dataset: ImageDataset, recipe: Recipe, epochs: range, workers: Workers = SINGLE_WORKER
) -> tf.data.Dataset:
    """Return the batches of consecutive epochs: float32 images [B, H, W, 3] in 0–255 and labels [B, M, 5].

    The images are those of :func:`~edge_ssd.training.input.batch_images.choose_batch_images`. They and the augmentation
    depend only on the recipe's seed and the epoch, so that a resumed run sees the same batches. Several workers see the
    images that a single worker would see, with other augmentations.

    It is one pipeline for all epochs, because building one takes as long as a few batches: a small dataset has no more
    in an epoch.

    Raises:
        SettingError: the workers cannot share a batch evenly.
    """
    with_mosaics = [epoch for epoch in epochs if recipe.is_mosaic_epoch(epoch)]
    others = range(epochs.start + len(with_mosaics), epochs.stop)
    parts = [range(epochs.start, others.start), others]  # the mosaics are in the first epochs of a run
    pipelines = [_epochs_of_a_kind(dataset, recipe, part, workers) for part in parts if part]
    return functools.reduce(tf.data.Dataset.concatenate, pipelines).prefetch(2)


def _epochs_of_a_kind(dataset: ImageDataset, recipe: Recipe, epochs: range, workers: Workers) -> tf.data.Dataset:
    """Return the batches of ``epochs``, which all have mosaics or all have none."""
    choose = functools.lru_cache(maxsize=2)(functools.partial(choose_batch_images, dataset, recipe, workers=workers))
    num_steps, share = choose(epochs.start).images.shape
    num_partners = choose(epochs.start).partners.shape[-1]
    mosaics = recipe.is_mosaic_epoch(epochs.start)

    def fetch(epoch: int, step: int) -> tuple[ImageArray, FloatArray]:
        return dataset.take(choose(int(epoch)).images[step])

    def fetch_partners(epoch: int, step: int) -> tuple[ImageArray, FloatArray]:
        return dataset.take(choose(int(epoch)).partners[step])

    def prepare(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        at = number // num_steps, number % num_steps
        images, labels = _fetched(fetch, at, (share,), dataset)
        partners = _fetched(fetch_partners, at, (share, num_partners), dataset) if num_partners else None
        epoch, step = at
        seed = _seed(recipe, epoch, step * workers.count + workers.index)
        return _augment_function(recipe, mosaics, rows)(images, labels, seed, partners)

    rows = mosaic_rows(dataset.labels) if recipe.mosaic > 0 else None
    numbers = tf.data.Dataset.range(epochs.start * num_steps, epochs.stop * num_steps)
    return numbers.map(prepare, num_parallel_calls=1)


def augment_batch(
    images: tf.Tensor,
    labels: tf.Tensor,
    recipe: Recipe,
    epoch: int,
    step: int,
    partners: tuple[tf.Tensor, tf.Tensor] | None = None,
    label_rows: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Augment images [B, H, W, 3] and labels [B, M, 5]; the recipe's seed, ``epoch`` and ``step`` fix the result.

    ``partners`` are images [B, K, H, W, 3] and labels [B, K, M, 5] of
    :func:`~edge_ssd.training.input.batch_images.choose_partners`; None if K is 0. ``label_rows`` are
    those of :func:`~edge_ssd.training.input.label_rows.mosaic_rows` if the recipe has mosaics.
    """
    function = _augment_function(recipe, recipe.is_mosaic_epoch(epoch), label_rows)
    return function(images, labels, _seed(recipe, epoch, step), partners)


def _seed(recipe: Recipe, epoch: tf.Tensor | int, step: tf.Tensor | int) -> tf.Tensor:
    """Return the seed of a batch's augmentation, int32 [2]."""
    return tf.stack([tf.cast(recipe.seed * 100_003 + epoch, tf.int32), tf.cast(step, tf.int32)])


def _fetched(
    fetch: Callable[[int, int], tuple[ImageArray, FloatArray]],
    at: tuple[tf.Tensor, tf.Tensor],
    shape: tuple[int, ...],
    dataset: ImageDataset,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return in the graph what ``fetch`` returns for (epoch, step): images [*shape, H, W, 3], labels [*shape, M, 5]."""
    images, labels = tf.numpy_function(fetch, at, (tf.uint8, tf.float32), stateful=False)
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
