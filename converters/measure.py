"""Evaluation with a progress bar."""

from __future__ import annotations

from collections.abc import Sequence

from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.evaluation.average_precision import MIN_USEFUL_AP
from edge_ssd.evaluation.evaluate import Evaluation, evaluate, predict
from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE, KerasPredictor
from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
from edge_ssd.network import Network
from edge_ssd.runtime.detections import Detections

__all__ = ["MIN_USEFUL_AP", "detect_all", "measure"]

_Predictor = KerasPredictor | TFLitePredictor


def measure(predictor: _Predictor, network: Network, dataset: Dataset, label: str) -> Evaluation:
    """Evaluate ``predictor``, a model of ``network``, on ``dataset``; ``label`` names it in the progress bar."""
    with Progress(label, "images") as progress:
        return evaluate(predictor, network, dataset, batch_size=_batch_size(predictor), progress=progress)


def detect_all(
    predictor: _Predictor, network: Network, samples: Sequence[Sample], label: str
) -> tuple[Detections, ...]:
    """Return the detections of ``predictor`` in images without objects; arguments as of :func:`measure`."""
    if not samples:
        return ()
    with Progress(label, "images") as progress:
        return predict(predictor, network, samples, batch_size=_batch_size(predictor), progress=progress)


def _batch_size(predictor: _Predictor) -> int:
    return KERAS_BATCH_SIZE if isinstance(predictor, KerasPredictor) else 1
