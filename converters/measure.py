"""Average precision of a Keras model and of a bundle, with a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.evaluation.evaluate import evaluate
from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE, KerasPredictor
from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
from edge_ssd.runtime.bundle import read_bundle

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["measure_bundle", "measure_model"]


def measure_model(model: TinySSD, dataset: Dataset) -> AveragePrecision:
    """Return the average precision of a Keras model."""
    with Progress("float", "images") as progress:
        result = evaluate(KerasPredictor(model), model.network, dataset, batch_size=KERAS_BATCH_SIZE, progress=progress)
    return result.precision


def measure_bundle(path: Path, dataset: Dataset) -> AveragePrecision:
    """Return the average precision of a bundle."""
    bundle = read_bundle(path)
    with Progress("converted", "images") as progress:
        return evaluate(TFLitePredictor(bundle), bundle.network, dataset, progress=progress).precision
