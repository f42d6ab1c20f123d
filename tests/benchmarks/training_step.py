"""Training speed with augmentation, relative to a plain float32 TensorFlow loop on the same network.

    python tests/benchmarks/training_step.py [--batch-size 32] [--rounds 5] [--images 192]

The plain loop: stock Keras layers, the book's loss on precomputed targets, SGD, float32, compiled, on one batch. This
project's epochs: images from the cache, augmentation, assignment, losses, the book's metrics, AdamW and the moving
average of the weights. Both alternate; the ratio is the median over the rounds. ``waiting`` is the share of an epoch in
which the network waited for images.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.training.input.images import ImageDataset
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.trainer import Trainer


def plain_step(network: Network, batch_size: int) -> Callable[[], None]:
    """Return a compiled SGD step of the network in stock Keras."""
    image = keras.Input((*network.input.size, 3))
    features = keras.layers.Rescaling(network.input.scale)(image)
    classes, boxes = [], []

    def block(tensor: keras.KerasTensor, channels: int) -> keras.KerasTensor:
        for _ in range(2):
            tensor = keras.layers.Conv2D(channels, 3, padding="same")(tensor)
            tensor = keras.layers.ReLU()(keras.layers.BatchNormalization()(tensor))
        return keras.layers.MaxPool2D()(tensor)

    for i, level in enumerate(network.levels):
        if i == 0:
            for channels in network.base_channels:
                features = block(features, channels)
        elif i == len(network.levels) - 1:
            features = keras.layers.GlobalMaxPool2D(keepdims=True)(features)
        else:
            features = block(features, network.block_channels[i - 1])
        count = level.anchors_per_cell
        head = keras.layers.Conv2D(count * (network.num_classes + 1), 3, padding="same")(features)
        classes.append(keras.layers.Reshape((-1, network.num_classes + 1))(head))
        boxes.append(keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(count * 4, 3, padding="same")(features)))
    model = keras.Model(image, [keras.layers.Concatenate(axis=1)(classes), keras.layers.Concatenate(axis=1)(boxes)])
    optimizer = keras.optimizers.SGD(0.01, weight_decay=5e-4)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 255, (batch_size, *network.input.size, 3)), tf.float32)
    true_classes = tf.constant(rng.integers(0, 2, (batch_size, network.num_anchors)), tf.int32)
    true_offsets = tf.constant(rng.normal(size=(batch_size, network.num_anchors, 4)), tf.float32)
    masks = tf.cast(true_classes > 0, tf.float32)[..., None]

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            logits, offsets = model(images, training=True)
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(true_classes, logits)
            loss = tf.reduce_mean(entropy) + tf.reduce_mean(tf.abs((offsets - true_offsets) * masks))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    return step


def random_images(network: Network, count: int) -> ImageDataset:
    rng = np.random.default_rng(0)
    height, width = network.input.size
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    labels = np.zeros((count, 1, 5), np.float32)
    labels[..., 1:3] = rng.uniform(0, 0.7, (count, 1, 2))
    labels[..., 3:5] = labels[..., 1:3] + rng.uniform(0.15, 0.3, (count, 1, 2))
    samples = tuple(Sample(Path(f"{number}.png"), [], []) for number in range(count))
    return ImageDataset(images, labels, (), Dataset(Path(), network.labels, samples, "random"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=192, help="images per epoch")
    args = parser.parse_args()
    network = tiny_ssd(["banana"])
    images = random_images(network, args.images)
    recipe = Recipe(batch_size=args.batch_size)
    recipes = {
        "float32": replace(recipe, precision="float32"),
        "bfloat16": replace(recipe, precision="mixed_bfloat16"),
        "bfloat16, crop and expand too": replace(recipe, precision="mixed_bfloat16", crop=True, expand=2.0),
        "bfloat16, no augmentation": replace(recipe, precision="mixed_bfloat16", flip=False, zoom=1.0, color=0.0),
    }
    plain = plain_step(network, args.batch_size)
    steps = args.images // args.batch_size
    speeds: dict[str, list[float]] = {"plain float32 TensorFlow": [], **{name: [] for name in recipes}}
    waiting: dict[str, list[float]] = {name: [] for name in recipes}
    with tempfile.TemporaryDirectory() as folder:
        trainers = {name: Trainer(network, recipe, Path(folder) / "none") for name, recipe in recipes.items()}
        for number in range(args.rounds + 1):  # The first one compiles and is not counted.
            start = time.perf_counter()
            for _ in range(steps):
                plain()
            elapsed = time.perf_counter() - start
            results = {name: trainer.fit_epoch(images) for name, trainer in trainers.items()}
            if number:
                speeds["plain float32 TensorFlow"].append(steps * args.batch_size / elapsed)
                for name, result in results.items():
                    speeds[name].append(result.images_per_second)
                    waiting[name].append(result.waiting)
    base = speeds["plain float32 TensorFlow"]
    for name, values in speeds.items():
        ratio = statistics.median(value / plain for value, plain in zip(values, base, strict=True))
        waits = f"   waiting {statistics.median(waiting[name]):.1%}" if name in waiting else ""
        print(f"{name:30} {statistics.median(values):6.1f} images/s   {ratio:5.2f}x{waits}")


if __name__ == "__main__":
    main()
