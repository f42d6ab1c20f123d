"""From a data set to batches in the graph.

Pictures are read and resized once, by the runtime's own code, and kept as uint8 in memory (196 kB each at
256×256); shuffling, batching and augmentation then run inside ``tf.data``.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import Placement, preprocess, read_image
from edge_ssd.training.augment import augment
from edge_ssd.training.recipe import Recipe

__all__ = ["Pictures", "load_pictures", "training_batches"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pictures:
    """A data set at the network's input size.

    Attributes:
        images: uint8 [N, height, width, 3].
        labels: float32 [N, M, 5], rows (class id, xyxy in 0–1 of the input), −1 for padding.
        placements: where each picture lies in its input.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float32]
    placements: tuple[Placement, ...]

    def __len__(self) -> int:
        return len(self.images)


def load_pictures(dataset: Dataset, spec: InputSpec, progress: Progress | None = None) -> Pictures:
    """Read every picture of ``dataset`` and bring it, and its boxes, to the network's input."""

    def load(sample: Sample) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], Placement]:
        image, placement = preprocess(read_image(sample.path), spec)
        boxes = placement.from_pixels(sample.boxes_xyxy)
        return image, np.concatenate([sample.class_ids[:, None].astype(np.float32), boxes], axis=1), placement

    count = len(dataset.samples)
    rows = max([1, *(len(sample.class_ids) for sample in dataset.samples)])
    images = np.empty((count, *spec.size, 3), np.uint8)
    labels = np.full((count, rows, 5), -1, np.float32)
    placements = []
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter's lock
        for i, (image, objects, placement) in enumerate(pool.map(load, dataset.samples)):
            images[i], labels[i, : len(objects)] = image, objects
            placements.append(placement)
            if progress is not None:
                progress(i + 1, count)
    return Pictures(images, labels, tuple(placements))


def training_batches(pictures: Pictures, recipe: Recipe, epoch: int) -> tf.data.Dataset:
    """The batches of one epoch: float32 pictures [B, H, W, 3] in 0–255 and labels [B, M, 5].

    Order and augmentation follow from the recipe's seed and the epoch alone, so a resumed run sees what it would
    have seen. A last, smaller batch is left out (each epoch leaves out others), unless it is the only one.
    """
    order = np.random.default_rng([recipe.seed, epoch]).permutation(len(pictures))
    size = min(recipe.batch_size, len(order))
    batches = order[: len(order) // size * size].reshape(-1, size)
    images, labels = pictures.images, pictures.labels

    def fetch(step: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
        chosen = batches[step]
        return images[chosen], labels[chosen]

    def prepare(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        chosen_images, chosen_labels = tf.numpy_function(fetch, [step], (tf.uint8, tf.float32), stateful=False)
        chosen_images.set_shape((size, *images.shape[1:]))
        chosen_labels.set_shape((size, *labels.shape[1:]))
        seed = tf.stack([tf.cast(recipe.seed * 100_003 + epoch, tf.int32), tf.cast(step, tf.int32)])
        return augment(
            chosen_images,
            chosen_labels,
            seed,
            horizontal=recipe.flip,
            vertical=recipe.vertical_flip,
            zoom_factor=recipe.zoom,
            color=recipe.color,
        )

    return tf.data.Dataset.range(len(batches)).map(prepare, num_parallel_calls=1).prefetch(2)
