"""From pictures to batches in the graph: shuffling, batching and augmentation run inside ``tf.data``."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from edge_ssd.boxes import FloatArray
from edge_ssd.errors import SettingError
from edge_ssd.runtime.preprocess import ImageArray
from edge_ssd.training.input.augment import augment
from edge_ssd.training.input.images import ImageDataset
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.workers import SINGLE_WORKER, Workers

__all__ = ["augmented", "training_batches"]


def training_batches(
    pictures: ImageDataset, recipe: Recipe, epoch: int, workers: Workers = SINGLE_WORKER
) -> tf.data.Dataset:
    """The batches of one epoch: float32 pictures [B, H, W, 3] in 0–255 and labels [B, M, 5].

    Order and augmentation follow from the recipe's seed and the epoch alone, so a resumed run sees what it would
    have seen. A last, smaller batch is left out (each epoch leaves out others), unless it is the only one. Several
    workers share each batch evenly; together they see what one alone would see, differently augmented.
    """
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(pictures))
    if recipe.batch_size % workers.count or len(order) < workers.count:
        raise SettingError(
            f"{workers.count} workers cannot share batches of {recipe.batch_size} of {len(order)} pictures evenly; "
            f"give a --batch-size that is a multiple of {workers.count}"
        )
    size = min(recipe.batch_size, len(order) // workers.count * workers.count)
    share = size // workers.count
    batches = order[: len(order) // size * size].reshape(-1, workers.count, share)[:, workers.index]
    images, labels = pictures.images, pictures.labels

    def fetch(step: int) -> tuple[ImageArray, FloatArray]:
        chosen = batches[step]
        return images[chosen], labels[chosen]

    def prepare(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen_images, chosen_labels = tf.numpy_function(fetch, [step], (tf.uint8, tf.float32), stateful=False)
        chosen_images.set_shape((share, *images.shape[1:]))
        chosen_labels.set_shape((share, *labels.shape[1:]))
        return augmented(chosen_images, chosen_labels, recipe, epoch, step * workers.count + workers.index)

    return tf.data.Dataset.range(len(batches)).map(prepare, num_parallel_calls=1).prefetch(2)


def augmented(
    images: tf.Tensor, labels: tf.Tensor, recipe: Recipe, epoch: int, step: tf.Tensor | int
) -> tuple[tf.Tensor, tf.Tensor]:
    """One batch as ``recipe`` shows it to the network; ``epoch`` and ``step`` decide what is drawn at random."""
    seed = tf.stack([tf.cast(recipe.seed * 100_003 + epoch, tf.int32), tf.cast(step, tf.int32)])
    return augment(
        images,
        labels,
        seed,
        horizontal=recipe.flip,
        vertical=recipe.vertical_flip,
        zoom_factor=recipe.zoom,
        color=recipe.color,
        crop=recipe.crop,
        expand_factor=recipe.expand,
    )
