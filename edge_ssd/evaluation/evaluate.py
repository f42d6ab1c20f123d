"""Average precision of a model on a dataset.

Float and quantized models share the steps of the device: the runtime's ``read_input``, the model's heads, the runtime's
``Postprocess``. So a difference in AP is a difference of the models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import DataError
from edge_ssd.evaluation.average_precision import MAX_DETECTIONS, AveragePrecision, average_precision
from edge_ssd.network import InputSpec, Network
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.postprocess import Head, Postprocess
from edge_ssd.runtime.preprocess import ResizeTransform, read_input

__all__ = [
    "IOU_THRESHOLD",
    "SCORE_THRESHOLD",
    "Evaluation",
    "HeadOutputs",
    "Predictor",
    "Progress",
    "decode",
    "evaluate",
    "iter_batches",
    "predict",
]

# AP needs the complete precision–recall curve, including detections of low scores. Below 0.01 there are hardly any true
# positives, and the evaluator counts at most 100 detections per image.
SCORE_THRESHOLD = 0.01

# The runtime's default NMS IoU threshold.
IOU_THRESHOLD = 0.5

HeadOutputs = tuple[Sequence[Head], Sequence[Head]]
"""A model's outputs for one image: class heads and box heads, one of each per level."""

Predictor = Callable[[npt.NDArray[np.uint8]], Sequence[HeadOutputs]]
"""A model: images uint8 [B, height, width, 3] at its input size → B outputs."""

Progress = Callable[[int, int], None]
"""Called with (number of images done, total number)."""


@dataclass(frozen=True)
class Evaluation:
    """Average precision, the detections of each sample in the dataset's order, and the duration."""

    precision: AveragePrecision
    predictions: tuple[Detections, ...]
    seconds: float


def evaluate(
    predictor: Predictor, network: Network, dataset: Dataset, *, batch_size: int = 1, progress: Progress | None = None
) -> Evaluation:
    """Detect in every image of ``dataset``, ``batch_size`` at a time, and measure the average precision.

    ``predictor`` is a model of ``network``; ``progress`` is called with (images done, images in total).

    Raises:
        DataError: the dataset has no objects, or its labels are not the network's.
        ImageError: an image cannot be read.
    """
    if dataset.labels != network.labels:
        raise DataError(
            f"{dataset.root}: its labels {_names(dataset.labels)} are not the model's {_names(network.labels)}; "
            "use the dataset that the model was trained for"
        )
    start = time.perf_counter()
    predictions = predict(predictor, network, dataset.samples, batch_size=batch_size, progress=progress)
    return Evaluation(average_precision(dataset, predictions), predictions, time.perf_counter() - start)


def predict(
    predictor: Predictor,
    network: Network,
    samples: Sequence[Sample],
    *,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> tuple[Detections, ...]:
    """Return the detections in the image of each sample, see :func:`decode`; arguments as of :func:`evaluate`.

    Raises ImageError if an image cannot be read.
    """
    postprocess = Postprocess(network)
    predictions: list[Detections] = []
    for images, transforms in iter_batches(samples, network.input, batch_size):
        for outputs, transform in zip(predictor(images), transforms, strict=True):
            predictions.append(decode(postprocess, outputs, transform))
        if progress is not None:
            progress(len(predictions), len(samples))
    return tuple(predictions)


def decode(postprocess: Postprocess, heads: HeadOutputs, transform: ResizeTransform) -> Detections:
    """Return the detections that ``heads`` give in one image: score ≥ 0.01, NMS with IoU 0.5, at most 100.

    ``transform`` says how the image was resized. Boxes outside it stay, unlike a detector's: each is a false positive.
    """
    return postprocess(
        *heads,
        transform,
        score_threshold=SCORE_THRESHOLD,
        iou_threshold=IOU_THRESHOLD,
        max_detections=MAX_DETECTIONS,
        keep_outside=True,
    )


def iter_batches(
    samples: Sequence[Sample], spec: InputSpec, batch_size: int
) -> Iterator[tuple[npt.NDArray[np.uint8], list[ResizeTransform]]]:
    """Yield images as uint8 [B, height, width, 3] at the network's input size, and how each was resized."""
    for start in range(0, len(samples), batch_size):
        pairs = [read_input(sample.path, spec) for sample in samples[start : start + batch_size]]
        yield np.stack([image for image, _ in pairs]), [transform for _, transform in pairs]


def _names(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:5])
    return f"({shown}, … {len(labels)} in total)" if len(labels) > 5 else f"({shown})"
