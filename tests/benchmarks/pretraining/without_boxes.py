"""Pre-training of a network's trunk without boxes, to compare with that on boxes.

    python tests/benchmarks/pretraining/without_boxes.py --pool POOL --source NAME --learn classes --out MODEL.keras
    python tests/benchmarks/pretraining/without_boxes.py --pool POOL --source NAME --learn embedding \
        --teacher mobilenet_v1_1.0_224_quant_embedding_extractor.tflite --out MODEL.keras

``classes`` learns the folder that an image lies in. ``embedding`` learns the numbers that a classifier trained on
ImageNet computes before its classes (feature distillation): the loss is 1 less the cosine between both. Each reads
means of the feature maps of all levels through one dense layer, which is left out of the model. Every image has two
views, the whole and a crop of half to nine tenths of its area, and the teacher sees the same view.

``edge-ssd train --from MODEL.keras`` starts from the result.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers, ops
from pool_index import PoolImage, read_index, require_files

from edge_ssd.network import NETWORKS, tiny_ssd
from edge_ssd.training.model.tiny_ssd import TinySSD, save_tiny_ssd
from edge_ssd.training.optimizer import make_optimizer
from edge_ssd.training.precision import fastest_precision
from edge_ssd.training.recipe import Recipe

Image = npt.NDArray[np.uint8]  # [height, width, 3], RGB

_SMALLEST_CROP, _LARGEST_CROP = 0.5, 0.9  # of the area
_COLOR = 0.2
# More classes than any dataset here, so that `train --from` starts with new class heads.
_LABELS = tuple(f"unused_{i}" for i in range(64))


def main() -> None:
    args = parse_arguments()
    keras.utils.set_random_seed(args.seed)
    images = read_index(args.pool, args.source)
    side = args.input_size
    pairs = [views(args.pool, image, args.seed) for image in images]
    inputs = np.stack([[resize(view, side) for view in pair] for pair in pairs])
    if args.learn == "classes":
        targets, size = classes_of(images)
    else:
        targets = embeddings(args.teacher, pairs)
        size = targets.shape[-1]
    model = TinySSD(tiny_ssd(_LABELS, **{**NETWORKS[args.network], "input_size": (side, side)}))
    student = trunk_with_dense_layer(model, size)
    held_out = np.arange(len(images)) % 20 == 0
    train(student, args, inputs[~held_out], targets[~held_out])
    print(f"held out: {score(student, args.learn, inputs[held_out, 0], targets[held_out, 0]):.3f}", flush=True)
    save_float32(model, args.out)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, required=True)
    parser.add_argument("--source", required=True, metavar="NAME", help="of the pool, such as caltech101")
    parser.add_argument("--learn", choices=("classes", "embedding"), required=True)
    parser.add_argument("--teacher", type=Path, metavar="FILE.tflite", help="gives the embedding of an image")
    parser.add_argument("--network", choices=tuple(NETWORKS), default="small")
    parser.add_argument("--input-size", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL.keras")
    args = parser.parse_args()
    if (args.learn == "embedding") != (args.teacher is not None):
        sys.exit("--teacher is for --learn embedding, which needs it")
    require_files(args.pool / f"{args.source}.jsonl", *([args.teacher] if args.teacher else []))
    return args


def views(pool: Path, image: PoolImage, seed: int) -> tuple[Image, Image]:
    """Return an image, and a crop of it that its position and ``seed`` fix."""
    pixels = cv2.imread(str(pool / image.file))
    if pixels is None:
        sys.exit(f"{pool / image.file}: cannot be read")
    whole = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    random = np.random.default_rng([seed, image.position])
    scale = np.sqrt(random.uniform(_SMALLEST_CROP, _LARGEST_CROP))
    height, width = (max(1, int(side * scale)) for side in whole.shape[:2])
    y, x = (random.integers(side - part + 1) for side, part in zip(whole.shape[:2], (height, width), strict=True))
    return np.asarray(whole, np.uint8), np.asarray(whole[y : y + height, x : x + width], np.uint8)


def resize(image: Image, side: int) -> Image:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def classes_of(images: Sequence[PoolImage]) -> tuple[npt.NDArray[np.int64], int]:
    """Return the class of both views of each image, [N, 2], by its folder, and the number of classes."""
    folders = [image.origin.split("/")[-2] for image in images]
    names = sorted(set(folders))
    ids = np.array([names.index(folder) for folder in folders])
    return np.stack([ids, ids], axis=1), len(names)


def embeddings(teacher: Path, pairs: Sequence[tuple[Image, Image]]) -> npt.NDArray[np.float32]:
    """Return the teacher's numbers for both views of each image, [N, 2, D], of length 1."""
    interpreter = Interpreter(str(teacher), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero_point = result["quantization"]

    def embed(view: Image) -> npt.NDArray[np.float32]:
        interpreter.set_tensor(source["index"], resize(view, source["shape"][1])[None])
        interpreter.invoke()
        values = (interpreter.get_tensor(result["index"]).reshape(-1).astype(np.float32) - zero_point) * scale
        return values / np.linalg.norm(values)

    return np.stack([[embed(view) for view in pair] for pair in pairs])


def trunk_with_dense_layer(model: TinySSD, size: int) -> keras.Model:
    """Return images [B, H, W, 3] → [B, size], float32, from the means of all maps of the model's trunk."""
    inputs = keras.Input((*model.network.input.size, 3))
    features, means = model.scaling(inputs), []
    for block in model.blocks:
        features = block(features)
        means.append(layers.GlobalAveragePooling2D()(features))
    return keras.Model(inputs, layers.Dense(size, dtype="float32")(layers.Concatenate()(means)))


def train(student: keras.Model, args: argparse.Namespace, inputs: Image, targets: npt.NDArray[Any]) -> None:
    """Train on one view of each image in each epoch, mirrored in half of the cases, in other colors."""
    steps = len(inputs) // args.batch_size
    optimizer = make_optimizer(Recipe(epochs=args.epochs, batch_size=args.batch_size, seed=args.seed), steps)
    loss_of = cross_entropy if args.learn == "classes" else cosine_distance

    @tf.function
    def step(images: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        images = tf.image.random_flip_left_right(tf.cast(images, tf.float32))
        images = tf.image.random_contrast(images, 1 - _COLOR, 1 + _COLOR)
        images = tf.clip_by_value(images + 255 * tf.random.uniform((), -_COLOR, _COLOR), 0, 255)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(loss_of(wanted, student(images, training=True)))
        variables = student.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    start = time.perf_counter()
    for epoch in range(args.epochs):
        losses = [float(step(inputs[chosen], targets[chosen])) for chosen in batches(len(inputs), epoch, args)]
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.3f}, {time.perf_counter() - start:.0f} s", flush=True)


def batches(count: int, epoch: int, args: argparse.Namespace) -> Iterator[tuple[npt.NDArray[np.int64], ...]]:
    """Yield the indices of images and of their views for each batch of an epoch."""
    random = np.random.default_rng([args.seed, epoch])
    order = random.permutation(count)[: count // args.batch_size * args.batch_size]
    for chosen in order.reshape(-1, args.batch_size):
        yield chosen, random.integers(2, size=len(chosen))


def cross_entropy(wanted: tf.Tensor, logits: tf.Tensor) -> Any:
    return ops.sparse_categorical_crossentropy(wanted, logits, from_logits=True)


def cosine_distance(wanted: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
    return 1 - tf.reduce_sum(wanted * tf.nn.l2_normalize(found, axis=-1), axis=-1)


def score(student: keras.Model, learned: str, inputs: Image, targets: npt.NDArray[Any]) -> float:
    """Return the accuracy of the classes, or the mean cosine."""
    found = student.predict(inputs, batch_size=32, verbose=0)
    if learned == "classes":
        return float((found.argmax(axis=1) == targets).mean())
    return float(1 - np.mean(cosine_distance(targets, tf.constant(found))))


def save_float32(model: TinySSD, path: Path) -> None:
    """Write the model, which may have been trained in bfloat16, as one that computes in float32."""
    keras.config.set_dtype_policy("float32")
    copy = TinySSD(model.network)
    copy.set_weights(model.get_weights())
    save_tiny_ssd(copy, path)


if __name__ == "__main__":
    keras.config.set_dtype_policy(fastest_precision())
    main()
