"""Training speed: this project's step against a plain float32 TensorFlow loop of the same network.

    python tests/benchmarks/training_step.py [--batch-size 32] [--rounds 5]

The plain loop is what one writes first: stock Keras layers, the book's loss on targets that are already there, SGD,
float32, compiled. Ours does all that a training step does: assignment, losses, the book's metrics, AdamW, the moving
average of the weights. The two take turns; the ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from edge_ssd.network import Network, tiny_ssd
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.trainer import Trainer


def plain_step(network: Network, batch_size: int) -> Callable[[], None]:
    """The network in stock Keras and a compiled SGD step on it."""
    image = keras.Input((*network.input.size, 3))
    features = keras.layers.Rescaling(network.input.scale)(image)
    classes, boxes = [], []

    def halve(tensor: keras.KerasTensor, channels: int) -> keras.KerasTensor:
        for _ in range(2):
            tensor = keras.layers.Conv2D(channels, 3, padding="same")(tensor)
            tensor = keras.layers.ReLU()(keras.layers.BatchNormalization()(tensor))
        return keras.layers.MaxPool2D()(tensor)

    for i, level in enumerate(network.levels):
        if i == 0:
            for channels in network.base_channels:
                features = halve(features, channels)
        elif i == len(network.levels) - 1:
            features = keras.layers.GlobalMaxPool2D(keepdims=True)(features)
        else:
            features = halve(features, network.block_channels[i - 1])
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


def our_step(network: Network, recipe: Recipe, folder: Path) -> Callable[[], None]:
    trainer = Trainer(network, recipe, folder / "checkpoint.npz")
    trainer._prepare(100)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 255, (recipe.batch_size, *network.input.size, 3)), tf.float32)
    labels = np.zeros((recipe.batch_size, 1, 5), np.float32)
    labels[..., 1:3] = rng.uniform(0, 0.7, (recipe.batch_size, 1, 2))
    labels[..., 3:5] = labels[..., 1:3] + rng.uniform(0.15, 0.3, (recipe.batch_size, 1, 2))
    return lambda: trainer._step(images, tf.constant(labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    network = tiny_ssd(["banana"])
    with tempfile.TemporaryDirectory() as folder:
        steps = {"plain float32 TensorFlow": plain_step(network, args.batch_size)}
        for precision in ("float32", "mixed_bfloat16"):
            recipe = Recipe(batch_size=args.batch_size, precision=precision)
            steps[f"edge-ssd, {precision}"] = our_step(network, recipe, Path(folder))
        speeds: dict[str, list[float]] = {name: [] for name in steps}
        for step in steps.values():
            for _ in range(2):
                step()
        for _ in range(args.rounds):
            for name, step in steps.items():
                start = time.perf_counter()
                for _ in range(3):
                    step()
                speeds[name].append(3 * args.batch_size / (time.perf_counter() - start))
    plain = next(iter(speeds.values()))
    for name, values in speeds.items():
        ratio = statistics.median(value / base for value, base in zip(values, plain, strict=True))
        print(f"{name:26} {statistics.median(values):6.1f} images/s   {ratio:5.2f}x")


if __name__ == "__main__":
    main()
