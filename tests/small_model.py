"""A small dataset, a TinySSD that learns it in seconds, and its conversion in this process."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edge_ssd.data.load import load_dataset
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.reference_targets import multibox_target

__all__ = [
    "SIDE",
    "convert_network",
    "dequantize",
    "small_network",
    "train_small_model",
    "write_background",
    "write_squares",
]

SIDE = 64


def small_network(**options: Any) -> Network:
    return tiny_ssd(("square",), input_size=(SIDE, SIDE), width=0.25, **options)


def write_squares(folder: Path, train: int = 12, val: int = 4, seed: int = 0) -> Path:
    """Write a dataset in the book's format: a bright square on dim noise in each 64×64 image."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", val)):
        images = folder / f"squares_{split}" / "images"
        images.mkdir(parents=True)
        rows = ["img_name,label,xmin,ymin,xmax,ymax"]
        for i in range(count):
            size = int(rng.integers(16, 32))
            x, y = (int(value) for value in rng.integers(0, SIDE - size, 2))
            pixels = rng.integers(0, 80, (SIDE, SIDE, 3), np.uint8)
            pixels[y : y + size, x : x + size] = (255, 220, 40)
            Image.fromarray(pixels).save(images / f"{i}.png")
            rows.append(f"{i}.png,0,{x},{y},{x + size},{y + size}")
        (images.parent / "label.csv").write_text("\n".join(rows) + "\n")
    (folder / "classes.txt").write_text("square\n")
    return folder


def write_background(folder: Path, number: int, squares: int = 0) -> Path:
    """Write 64×64 images of dim noise: ``number`` of them, the first ``squares`` with a square that has no label."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for i in range(number):
        pixels = rng.integers(0, 80, (SIDE, SIDE, 3), np.uint8)
        if i < squares:
            pixels[20:44, 20:44] = (255, 220, 40)
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
    return folder


def train_small_model(folder: Path, path: Path, steps: int = 80, **options: Any) -> None:
    """Fit :func:`small_network` with ``options`` to all images of ``folder`` and save it as ``path``."""
    import keras
    import tensorflow as tf

    from edge_ssd.training.model.tiny_ssd import TinySSD, save_tiny_ssd

    keras.utils.set_random_seed(0)
    network = small_network(**options)
    samples = load_dataset(folder, None, network.labels).samples
    images = np.stack([np.asarray(Image.open(sample.path).convert("RGB")) for sample in samples])
    labels = np.array([[[0, *(sample.boxes_xyxy[0] / SIDE)]] for sample in samples], np.float32)
    targets = multibox_target(network.anchors(), labels)
    pixels, offsets, masks = tf.constant(images), tf.constant(targets.offsets), tf.constant(targets.masks[..., None])
    # Positive anchors are few: together they have the weight of all others.
    positive = tf.cast(targets.classes > 0, tf.float32)
    weights = positive / tf.reduce_sum(positive) + (1 - positive) / tf.reduce_sum(1 - positive)
    model, optimizer = TinySSD(network), keras.optimizers.Adam(3e-3)

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            logits, predicted = model(pixels, training=True)
            cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(targets.classes, logits)
            box_error = tf.reduce_sum(tf.abs(predicted - offsets) * masks) / tf.reduce_sum(masks)
            loss = tf.reduce_sum(cross_entropy * weights) + 0.2 * box_error
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    for _ in range(steps):
        step()
    # After so few steps the moving statistics are far off; one pass sets them to those of the images.
    for layer in _batch_norms(model.blocks):
        layer.momentum = 0.0
    model(pixels, training=True)
    save_tiny_ssd(model, path)


def convert_network(
    model: Any, scheme: Any, images: np.ndarray | None = None, keep: tuple[str, ...] = (), keep_type: Any = "float"
) -> bytes:
    """Return the flatbuffer that the passes make of ``model``, calibrated on ``images``, in this process."""
    from converters.config import ConversionConfig
    from converters.passes import NO_IMAGES, ConversionState, apply_passes

    config = ConversionConfig(scheme=scheme, keep=keep, keep_type=keep_type)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
        warnings.filterwarnings("ignore", "(?s).*tf.lite.Interpreter is deprecated")
        return apply_passes(ConversionState(config, model, NO_IMAGES if images is None else images))


def dequantize(head: Any) -> np.ndarray:
    """Return the real values of a head of the interpreter's outputs."""
    return head.values if head.scale is None else (head.values.astype(np.float32) - head.zero_point) * head.scale


def _batch_norms(layers):
    import keras

    for layer in layers:
        if isinstance(layer, keras.Sequential):
            yield from _batch_norms(layer.layers)
        elif isinstance(layer, keras.layers.BatchNormalization):
            yield layer
