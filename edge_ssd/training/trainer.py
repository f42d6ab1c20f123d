"""Training loop: a compiled step, an exponential moving average (EMA) of the weights, and checkpoints."""

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
from edge_ssd.evaluation.average_precision import AveragePrecision, average_precision
from edge_ssd.evaluation.evaluate import Predictor, decode
from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE
from edge_ssd.network import Network
from edge_ssd.runtime.postprocess import Postprocess
from edge_ssd.training.checkpoint import load_checkpoint, save_checkpoint
from edge_ssd.training.input.batch_images import choose_batch_images
from edge_ssd.training.input.images import ImageDataset
from edge_ssd.training.input.pipeline import training_batches
from edge_ssd.training.loss.detection_loss import DetectionLoss
from edge_ssd.training.loss.distillation import Teacher
from edge_ssd.training.model.normalization import FusedBatchNormalization
from edge_ssd.training.model.tiny_ssd import TinySSD
from edge_ssd.training.optimizer import apply_gradients, make_optimizer
from edge_ssd.training.precision import resolve_precision
from edge_ssd.training.recipe import Recipe
from edge_ssd.training.workers import SINGLE_WORKER, Workers

__all__ = ["EpochResult", "Trainer", "evaluate_images"]


@dataclass(frozen=True)
class EpochResult:
    """Result of one epoch: means over its batches (``class_error`` 0–1, ``box_mae`` of offsets), and speed.

    ``loss`` may be infinite or NaN.
    """

    epoch: int
    loss: float
    class_error: float
    box_mae: float
    seconds: float
    images_per_second: float
    waiting: float
    """Fraction of ``seconds`` in which the network waited for images."""


class Trainer:
    """Trainer of one network with one recipe.

    With several workers each has a trainer, and all must call the same methods in the same order; the models are equal
    after every epoch. Only the chief (worker 0) reads and writes the checkpoint.

    Args:
        checkpoint: file that :meth:`save` writes and :meth:`restore` reads.
        class_weights: float32 [number of classes], loss weights without background; None for equal ones.
        teacher: trained model for distillation, see :mod:`edge_ssd.training.loss.distillation`.

    Attributes:
        model: the model that the gradients update.
        ema_model: the model that is evaluated and saved: the EMA of all weights of ``model``, batch-norm statistics
            included, because averaged weights do not fit the newest statistics. It is ``model`` itself without EMA.
        recipe: the recipe; precision "auto" is replaced by the floating-point type that is faster here.
        finished_epochs, saved_epochs: number of trained epochs, and of those that the checkpoint contains.
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
        if workers.count > 1:  # machines may differ: use the chief's measurement
            use_bfloat16 = workers.broadcast_bool(recipe.precision == "mixed_bfloat16")
            recipe = replace(recipe, precision="mixed_bfloat16" if use_bfloat16 else "float32")
        keras.utils.set_random_seed(recipe.seed)
        # Only the model in training computes in lower precision; its weights stay float32.
        with _dtype_policy(recipe.precision):
            self.model = TinySSD(network)
            self._teacher = None if teacher is None else Teacher(teacher, network)
        if recipe.class_loss != "cross_entropy":
            _init_prior_bias(self.model)
        if recipe.sync_norm:
            for layer in self.model._flatten_layers(include_self=False):
                if isinstance(layer, FusedBatchNormalization):
                    layer.synchronized = True
        self.ema_model = TinySSD(network) if recipe.ema_decay else self.model
        self.recipe = recipe
        self.finished_epochs = self.saved_epochs = 0
        self.loss = DetectionLoss(network, recipe, class_weights, workers)
        self._steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._workers = workers
        self._sums = tf.Variable(tf.zeros(4, tf.float64), trainable=False)
        self.train_step = tf.function(self._train_step, reduce_retracing=True)
        self._optimizer: keras.optimizers.Optimizer | None = None
        self._checkpoint = checkpoint
        # Images, the next epoch, and its batches.
        self._batches: tuple[ImageDataset, int, Iterator[tuple[tf.Tensor, tf.Tensor]]] | None = None

    def fit_epoch(self, dataset: ImageDataset, on_batch: Callable[[int, int], None] | None = None) -> EpochResult:
        """Train one epoch; ``on_batch`` is called with (batches done, batches in total).

        Raises:
            ImageError: an image that is decoded on demand cannot be read.
        """
        num_batches = self._steps_per_epoch(dataset)
        self._build_optimizer(num_batches)
        self._sums.assign(tf.zeros(4, tf.float64))
        start, waiting = time.perf_counter(), 0.0
        try:
            iterator = self._batches_from(dataset, self.finished_epochs)
            for i in range(1, num_batches + 1):
                requested = time.perf_counter()
                images, labels = next(iterator)
                waiting += time.perf_counter() - requested
                self.train_step(images, labels)
                if on_batch is not None:
                    on_batch(i, num_batches)
            (sums,) = self._workers.all_reduce_sum([self._sums])
        except tf.errors.OpError:
            # TensorFlow reports an unreadable image as a failed operation: raise the original exception.
            if dataset.failure is None:
                raise
            raise dataset.failure from None
        loss, class_error, box_mae, num_images = sums.numpy()  # the only transfer to Python in an epoch
        seconds = time.perf_counter() - start
        self._average_statistics()
        self.finished_epochs += 1
        self._batches = dataset, self.finished_epochs, iterator
        return EpochResult(
            self.finished_epochs,
            loss / num_batches,
            class_error / num_batches,
            box_mae / num_batches,
            seconds,
            num_images / seconds,
            waiting / seconds,
        )

    def save(self) -> None:
        """Write the checkpoint file, which replaces an earlier one; on other workers than worker 0, do nothing."""
        if self._workers.is_chief:
            save_checkpoint(self._checkpoint, self.finished_epochs, self._state())
        self.saved_epochs = self.finished_epochs

    def restore(self, dataset: ImageDataset) -> bool:
        """Load the checkpoint to continue training on ``dataset``; return False if there is no checkpoint."""
        if not self._workers.broadcast_bool(self._checkpoint.is_file()):
            return False
        self.build(dataset)
        if self._workers.is_chief:
            self.finished_epochs = load_checkpoint(self._checkpoint, self._state())
        self.broadcast_state(dataset)
        self.saved_epochs = self.finished_epochs
        return True

    def build(self, dataset: ImageDataset) -> None:
        """Create the optimizer's variables, so that :meth:`save` works before the first epoch."""
        self._build_optimizer(self._steps_per_epoch(dataset))

    def is_finite(self) -> bool:
        """Return whether all weights are finite numbers."""
        weights = {id(weight): weight for model in (self.model, self.ema_model) for weight in model.weights}
        return all(np.isfinite(weight.numpy()).all() for weight in weights.values())

    def broadcast_state(self, dataset: ImageDataset) -> None:
        """Copy worker 0's weights, optimizer and epoch to all workers; ``dataset`` is that of :meth:`fit_epoch`."""
        if self._workers.count == 1:
            return
        self.build(dataset)
        variables = [variable for group in self._state().values() for variable in group]
        finished_epochs, *values = self._workers.broadcast([np.int64(self.finished_epochs), *variables])
        self.finished_epochs = int(finished_epochs)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def _steps_per_epoch(self, dataset: ImageDataset) -> int:
        return len(choose_batch_images(dataset, self.recipe, 0, self._workers).images)

    def _batches_from(self, dataset: ImageDataset, epoch: int) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Return an iterator over the batches from the start of ``epoch`` on: that of the epoch before, if it fits."""
        if self._batches is not None and self._batches[0] is dataset and self._batches[1] == epoch:
            iterator = self._batches[2]
        else:
            epochs = range(epoch, max(self.recipe.epochs, epoch + 1))
            iterator = iter(training_batches(dataset, self.recipe, epochs, self._workers))
        self._batches = None  # it is valid again at the end of the epoch
        return iterator

    def _state(self) -> dict[str, list[Any]]:
        """Return all variables of the training by their group in the checkpoint."""
        assert self._optimizer is not None
        state = {"model": self.model.weights, "optimizer": self._optimizer.variables, "steps": [self._steps]}
        return state if self.ema_model is self.model else {**state, "averaged": self.ema_model.weights}

    def _build_optimizer(self, steps_per_epoch: int) -> None:
        if self._optimizer is None:
            self._optimizer = make_optimizer(self.recipe, steps_per_epoch)
            self._optimizer.build(self.model.trainable_variables)

    def _train_step(self, images: tf.Tensor, labels: tf.Tensor) -> None:
        assert self._optimizer is not None
        variables = self.model.trainable_variables
        gradients = self._workers.run(self._gradients, images, labels)
        apply_gradients(self._optimizer, gradients, variables, self._slow_variables(), self.recipe.trunk_rate)
        self._steps.assign_add(1)
        if self.ema_model is not self.model:
            # The decay increases from 0.1, so that the average forgets the random initialization.
            steps = tf.cast(self._steps, tf.float32)
            rate = 1 - tf.minimum(self.recipe.ema_decay, (1 + steps) / (10 + steps))
            for average, weight in zip(self.ema_model.weights, self.model.weights, strict=True):
                average.assign_add(rate * (weight - average))

    def _slow_variables(self) -> list[Any]:
        """Return the trunk's trainable weights if they have a learning rate of their own, else nothing."""
        if self.recipe.trunk_rate == 1:
            return []
        return [weight for block in self.model.blocks for weight in block.trainable_weights]

    def _gradients(self, images: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        """Return the gradients of the global batch's loss, summed over workers; add to the epoch's metric sums."""
        teacher = None if self._teacher is None else self._teacher(images)
        with tf.GradientTape() as tape:
            class_logits, offsets = self.model(images, training=True)
            loss, metrics = self.loss(class_logits, offsets, labels, teacher)
        gradients = tape.gradient(loss, self.model.trainable_variables)
        num_images = tf.cast(tf.shape(images)[0], tf.float64)
        sums = [tf.cast(value, tf.float64) for value in (loss, metrics.class_error, metrics.box_mae)]
        self._sums.assign_add(tf.stack([*sums, num_images]))
        return self._workers.replica_sum(gradients)

    def _average_statistics(self) -> None:
        """Replace the batch-norm statistics of all workers by their mean.

        Only they differ between workers, since each normalizes its own share of a batch. They are moving averages, so
        their mean after an epoch is the moving average of the mean.
        """
        if self._workers.count == 1:
            return
        models = [self.model] if self.ema_model is self.model else [self.model, self.ema_model]
        statistics = [weight for model in models for weight in model.non_trainable_weights]
        for weight, total in zip(statistics, self._workers.all_reduce_sum(statistics), strict=True):
            weight.assign(total / self._workers.count)


def _init_prior_bias(model: TinySSD, prior: float = 0.01) -> None:
    """Set the class heads' bias so that every anchor starts with an object probability of ``prior`` (Lin et al., 2017).

    Nearly all anchors are background; the first steps would otherwise learn only that.
    """
    class_logit = np.log(prior / (1 - prior) / model.network.num_classes)
    for head, level in zip(model.cls_predictors, model.network.levels, strict=True):
        logits = [0.0] + [class_logit] * model.network.num_classes
        head.bias.assign(np.tile(logits, level.anchors_per_cell))


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def evaluate_images(predictor: Predictor, network: Network, dataset: Dataset, images: ImageDataset) -> AveragePrecision:
    """Return the average precision on images at the network's input size, as ``edge-ssd evaluate`` measures it.

    Args:
        predictor: the model, such as a :class:`~edge_ssd.evaluation.keras_predictor.KerasPredictor`; reuse it for all
            epochs, since creating it compiles the model.
        images: the images of ``dataset``, from :func:`~edge_ssd.training.input.images.load_images`.
    """
    postprocess = Postprocess(network)
    outputs = (
        maps
        for start in range(0, len(images), KERAS_BATCH_SIZE)
        for maps in predictor(images.images[start : start + KERAS_BATCH_SIZE])
    )
    pairs = zip(outputs, images.transforms, strict=True)
    return average_precision(dataset, [decode(postprocess, *pair) for pair in pairs])
