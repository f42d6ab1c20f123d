"""Evaluation with a progress bar."""

from __future__ import annotations

from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.evaluation.average_precision import MIN_USEFUL_AP
from edge_ssd.evaluation.evaluate import Evaluation, evaluate
from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE, KerasPredictor
from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
from edge_ssd.network import Network

__all__ = ["MIN_USEFUL_AP", "measure"]


def measure(predictor: KerasPredictor | TFLitePredictor, network: Network, dataset: Dataset, label: str) -> Evaluation:
    """Evaluate ``predictor``, a model of ``network``, on ``dataset``; ``label`` names it in the progress bar."""
    batch_size = KERAS_BATCH_SIZE if isinstance(predictor, KerasPredictor) else 1
    with Progress(label, "images") as progress:
        return evaluate(predictor, network, dataset, batch_size=batch_size, progress=progress)
