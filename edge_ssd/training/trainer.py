"""The training loop: one compiled step, a moving average of the weights, checkpoints, history."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edge_ssd.boxes import FloatArray
from edge_ssd.data.dataset import Dataset
from edge_ssd.errors import ModelError
from edge_ssd.evaluation.average_precision import AveragePrecision, average_precision
from edge_ssd.evaluation.evaluate import Predictor, decode
from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE
from edge_ssd.network import Network
from edge_ssd.runtime.postprocess import Postprocess
from edge_ssd.training.checkpoint import load_checkpoint, save_checkpoint
from edge_ssd.training.input.images import ImageDataset
from edge_ssd.training.input.pipeline import training_batches
from edge_ssd.training.loss.detection_loss import DetectionLoss
from edge_ssd.training.loss.distillation import Teacher
from edge_ssd.training.model.normalization import FusedBatchNormalization
from edge_ssd.training.model.tiny_ssd import TinySSD
from edge_ssd.training.precision import resolve_precision
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.workers import SINGLE_WORKER, Workers

__all__ = ["EpochResult", "Trainer", "evaluate_pictures", "make_optimizer"]


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to; means over its batches."""

    epoch: int
    loss: float
    class_error: float
    box_mae: float
    seconds: float
    images_per_second: float
    waiting: float
    """Share of the time in which the network waited for pictures."""


class Trainer:
    """Trains one network by one recipe; its state lives in the file ``checkpoint`` after every :meth:`save`.

    ``model`` is what the gradient moves, ``averaged`` is what is evaluated and kept: the moving average of all of
    the model's weights, batch-normalisation statistics included (averaged weights under the newest statistics
    fit each other badly). Without averaging both are the same object.

    A ``teacher`` is a trained model that the network learns from, beside the labels: see
    :mod:`edge_ssd.training.loss.distillation`.

    Several workers each have a trainer. They must call its methods alike; their models are equal after every epoch.
    The chief alone reads and writes the checkpoint.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        checkpoint: Path,
        class_weights: FloatArray | None = None,
        workers: Workers = SINGLE_WORKER,
        teacher: TinySSD | None = None,
    ) -> None:
        recipe = resolve_precision(recipe)
        if workers.count > 1:  # where the machines differ, the chief's measurement counts
            lower = workers.agree(recipe.precision == "mixed_bfloat16")
            recipe = replace(recipe, precision="mixed_bfloat16" if lower else "float32")
        keras.utils.set_random_seed(recipe.seed)
        # Only the model in training computes in lower precision; its weights stay float32.
        with _dtype_policy(recipe.precision):
            self.model = TinySSD(network)
            self._teacher = None if teacher is None else Teacher(teacher, network)
        if recipe.class_loss != "cross_entropy":
            _init_prior_bias(self.model)
        if recipe.sync_norm:
            for layer in _normalisations(self.model):
                layer.synchronized = True
        self.averaged = TinySSD(network) if recipe.average_decay else self.model
        self.recipe = recipe
        self.finished_epochs = 0
        self._steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._workers = workers
        self._objective = DetectionLoss(network, recipe, class_weights, workers)
        self._sums = tf.Variable(tf.zeros(4, tf.float64), trainable=False)
        self._step = tf.function(self._train_step, reduce_retracing=True)
        self._optimizer: keras.optimizers.Optimizer | None = None
        self._checkpoint = checkpoint

    def fit_epoch(self, pictures: ImageDataset, on_batch: Callable[[int, int], None] | None = None) -> EpochResult:
        """Train one epoch; ``on_batch`` is called with (batches done, batches in all)."""
        batches = training_batches(pictures, self.recipe, self.finished_epochs, self._workers)
        count = int(batches.cardinality())
        self._prepare(count)
        self._sums.assign(tf.zeros(4, tf.float64))
        start, waited = time.perf_counter(), 0.0
        try:
            iterator = iter(batches)
            for i in range(1, count + 1):
                asked = time.perf_counter()
                images, labels = next(iterator)
                waited += time.perf_counter() - asked
                self._step(images, labels)
                if on_batch is not None:
                    on_batch(i, count)
            (sums,) = self._workers.total([self._sums])
        except tf.errors.OpError:
            # A picture that cannot be read is a failed operation to TensorFlow: say what it was.
            failure = getattr(pictures.images, "failure", None)
            if failure is None:
                raise
            raise failure from None
        loss, class_error, box_mae, seen = sums.numpy()  # the epoch's only transfer to Python
        seconds = time.perf_counter() - start
        if not np.isfinite(loss):
            raise ModelError(
                f"the loss became {loss / count} in epoch {self.finished_epochs + 1}; lower the learning rate "
                "and start again in another folder"
            )
        self._average_statistics()
        self.finished_epochs += 1
        return EpochResult(
            self.finished_epochs,
            loss / count,
            class_error / count,
            box_mae / count,
            seconds,
            seen / seconds,
            waited / seconds,
        )

    def save(self) -> None:
        """Write the checkpoint over the one before; only the chief does."""
        if self._workers.is_chief:
            save_checkpoint(self._checkpoint, self.finished_epochs, self._state())

    def restore(self, pictures: ImageDataset) -> bool:
        """Go back to the checkpoint, for training on as many ``pictures`` as before; False if there is none."""
        if not self._workers.agree(self._checkpoint.is_file()):
            return False
        self._prepare(training_batches(pictures, self.recipe, 0, self._workers).cardinality().numpy())
        if self._workers.is_chief:
            self.finished_epochs = load_checkpoint(self._checkpoint, self._state())
        self.follow_chief(pictures)
        return True

    def follow_chief(self, pictures: ImageDataset) -> None:
        """Take over all of the chief's state; nothing for one that is alone."""
        if self._workers.count == 1:
            return
        self._prepare(training_batches(pictures, self.recipe, 0, self._workers).cardinality().numpy())
        variables = [variable for group in self._state().values() for variable in group]
        finished, *values = self._workers.from_chief([np.int64(self.finished_epochs), *variables])
        self.finished_epochs = int(finished)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def _state(self) -> dict[str, list[Any]]:
        assert self._optimizer is not None
        state = {"model": self.model.weights, "optimizer": self._optimizer.variables, "steps": [self._steps]}
        return state if self.averaged is self.model else {**state, "averaged": self.averaged.weights}

    def _prepare(self, steps_per_epoch: int) -> None:
        if self._optimizer is None:
            self._optimizer = make_optimizer(self.recipe, steps_per_epoch)
            self._optimizer.build(self.model.trainable_variables)

    def _train_step(self, images: tf.Tensor, labels: tf.Tensor) -> None:
        assert self._optimizer is not None
        variables = self.model.trainable_variables
        gradients = self._workers.run(self._gradients, images, labels)
        self._optimizer.apply(gradients, variables)
        self._steps.assign_add(1)
        if self.averaged is not self.model:
            # A short memory at first, so that the random start is forgotten.
            steps = tf.cast(self._steps, tf.float32)
            rate = 1 - tf.minimum(self.recipe.average_decay, (1 + steps) / (10 + steps))
            for average, weight in zip(self.averaged.weights, self.model.weights, strict=True):
                average.assign_add(rate * (weight - average))

    def _gradients(self, images: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        """Of the loss of the whole batch, of which this worker has a share; adds to the epoch's sums."""
        lesson = None if self._teacher is None else self._teacher(images)
        with tf.GradientTape() as tape:
            class_logits, offsets = self.model(images, training=True)
            loss, metrics = self._objective(class_logits, offsets, labels, lesson)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        size = tf.cast(tf.shape(images)[0], tf.float64)
        sums = [tf.cast(value, tf.float64) for value in (loss, metrics.class_error, metrics.box_mae)]
        self._sums.assign_add(tf.stack([*sums, size]))
        return self._workers.sum(gradients)

    def _average_statistics(self) -> None:
        """Let all workers have the mean of their batch-normalisation statistics.

        Each normalises by its own share of a batch, so only these differ. They are moving averages: their mean at
        the end of an epoch is the moving average of the mean.
        """
        if self._workers.count == 1:
            return
        models = [self.model] if self.averaged is self.model else [self.model, self.averaged]
        statistics = [weight for model in models for weight in model.non_trainable_weights]
        for weight, total in zip(statistics, self._workers.total(statistics), strict=True):
            weight.assign(total / self._workers.count)


def _normalisations(layer: Any) -> Iterator[FusedBatchNormalization]:
    for part in layer._flatten_layers(include_self=False):
        if isinstance(part, FusedBatchNormalization):
            yield part


def _init_prior_bias(model: TinySSD, probability: float = 0.01) -> None:
    """Let every anchor start out as background, all classes together at ``probability`` (Lin et al., 2017).

    Nearly all anchors are background; without this the first steps only teach that.
    """
    each_class = np.log(probability / (1 - probability) / model.network.num_classes)
    for head, level in zip(model.cls_predictors, model.network.levels, strict=True):
        logits = [0.0] + [each_class] * model.network.num_classes
        head.bias.assign(np.tile(logits, level.anchors_per_cell))


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def make_optimizer(recipe: Recipe, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The recipe's optimizer with its learning-rate schedule."""
    rate: float | keras.optimizers.schedules.LearningRateSchedule = recipe.learning_rate
    if recipe.cosine:
        warmup = round(min(recipe.warmup_epochs, recipe.epochs / 2) * steps_per_epoch)
        rate = keras.optimizers.schedules.CosineDecay(
            recipe.learning_rate / 100 if warmup else recipe.learning_rate,
            decay_steps=max(1, recipe.epochs * steps_per_epoch - warmup),
            warmup_target=recipe.learning_rate if warmup else None,
            warmup_steps=warmup,
            alpha=0.01,
        )
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(rate, weight_decay=recipe.weight_decay)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, global_clipnorm=10.0)
    # Decay pulls towards zero what has a reason to be small; scales and shifts have none.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def evaluate_pictures(
    predictor: Predictor, network: Network, dataset: Dataset, pictures: ImageDataset
) -> AveragePrecision:
    """Average precision on pictures at the network's input size, as ``edge-ssd evaluate`` measures it.

    Args:
        predictor: the model, such as a :class:`~edge_ssd.evaluation.keras_predictor.KerasPredictor`; make it once for
            all epochs, since making it compiles the model.
    """
    postprocess = Postprocess(network)
    outputs = (
        maps
        for start in range(0, len(pictures), KERAS_BATCH_SIZE)
        for maps in predictor(pictures.images[start : start + KERAS_BATCH_SIZE])
    )
    pairs = zip(outputs, pictures.placements, strict=True)
    return average_precision(dataset, [decode(postprocess, *pair) for pair in pairs])
