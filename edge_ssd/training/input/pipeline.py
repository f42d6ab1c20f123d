"""Input pipeline: shuffling, batching and augmentation in ``tf.data``."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from edge_ssd.boxes import FloatArray
from edge_ssd.console.counts import count
from edge_ssd.errors import SettingError
from edge_ssd.runtime.preprocess import ImageArray
from edge_ssd.training.input.augment import augment
from edge_ssd.training.input.images import ImageDataset
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.workers import SINGLE_WORKER, Workers

__all__ = ["augment_batch", "training_batches"]


def training_batches(
    dataset: ImageDataset, recipe: Recipe, epoch: int, workers: Workers = SINGLE_WORKER
) -> tf.data.Dataset:
    """Return the batches of an epoch: float32 images [B, H, W, 3] in 0–255 and labels [B, M, 5].

    Order and augmentation depend only on the recipe's seed and the epoch, so that a resumed run sees the same batches.
    A last, smaller batch is dropped unless it is the only one; each epoch drops other images. Several workers share
    each batch evenly and see the images that a single worker would see, with other augmentations.

    Raises:
        SettingError: the workers cannot share a batch evenly.
    """
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(dataset))
    if recipe.batch_size % workers.count or len(order) < workers.count:
        raise SettingError(
            f"{workers.count} workers cannot share batches of {recipe.batch_size} of {count(len(order), 'image')} "
            f"evenly; set --batch-size to a multiple of {workers.count}"
        )
    batch_size = min(recipe.batch_size, len(order) // workers.count * workers.count)
    share = batch_size // workers.count
    batches = order[: len(order) // batch_size * batch_size].reshape(-1, workers.count, share)[:, workers.index]
    images, labels = dataset.images, dataset.labels

    def fetch(step: int) -> tuple[ImageArray, FloatArray]:
        indices = batches[step]
        return images[indices], labels[indices]

    def prepare(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch_images, batch_labels = tf.numpy_function(fetch, [step], (tf.uint8, tf.float32), stateful=False)
        batch_images.set_shape((share, *images.shape[1:]))
        batch_labels.set_shape((share, *labels.shape[1:]))
        return augment_batch(batch_images, batch_labels, recipe, epoch, step * workers.count + workers.index)

    return tf.data.Dataset.range(len(batches)).map(prepare, num_parallel_calls=1).prefetch(2)


def augment_batch(
    images: tf.Tensor, labels: tf.Tensor, recipe: Recipe, epoch: int, step: tf.Tensor | int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Augment images [B, H, W, 3] and labels [B, M, 5]; the recipe's seed, ``epoch`` and ``step`` fix the result."""
    seed = tf.stack([tf.cast(recipe.seed * 100_003 + epoch, tf.int32), tf.cast(step, tf.int32)])
    return _augment_function(recipe)(images, labels, seed)


@functools.cache
def _augment_function(recipe: Recipe) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Return :func:`augment` with the recipe's values as a graph function, traced once for all epochs."""
    return tf.function(
        functools.partial(
            augment,
            horizontal=recipe.flip,
            vertical=recipe.vertical_flip,
            zoom_factor=recipe.zoom,
            color=recipe.color,
            crop=recipe.crop,
            expand_factor=recipe.expand,
        )
    )
