"""Run a detector over a dataset and score it.

Float and quantized models go through the same three steps, those of the device: the runtime's ``preprocess``,
the model's heads, the runtime's ``Postprocess``. A difference in their AP is then the model's, not the decoder's.
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
from edge_ssd.runtime.preprocess import ResizeTransform, preprocess, read_image

__all__ = [
    "IOU_THRESHOLD",
    "SCORE_THRESHOLD",
    "Evaluation",
    "HeadOutputs",
    "Predictor",
    "Progress",
    "decode",
    "evaluate",
]

# AP needs the whole precision–recall curve, so also the doubtful detections that a user would never see. Below
# 0.01 hardly anything is right any more, and the evaluator counts only the best 100 an image anyway.
SCORE_THRESHOLD = 0.01

# The runtime's default for suppression: what is measured is what a user gets.
IOU_THRESHOLD = 0.5

HeadOutputs = tuple[Sequence[Head], Sequence[Head]]
"""A model's outputs for one image: class heads and box heads, one of each per level."""

Predictor = Callable[[npt.NDArray[np.uint8]], Sequence[HeadOutputs]]
"""A model: images uint8 [B, height, width, 3] at its input size → B outputs."""

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""


@dataclass(frozen=True)
class Evaluation:
    """The score, and the detections behind it: one entry per sample, in the dataset's order."""

    precision: AveragePrecision
    predictions: tuple[Detections, ...]
    seconds: float


def evaluate(
    predictor: Predictor,
    network: Network,
    dataset: Dataset,
    *,
    batch_size: int = 1,
    progress: Progress | None = None,
) -> Evaluation:
    """Detect in every image of ``dataset`` and score the result.

    Raises :class:`DataError` for a dataset without objects and one whose labels are not the network's (load it with
    ``labels=network.labels``); :class:`ImageError` for an unreadable image.
    """
    if dataset.labels != network.labels:
        raise DataError(
            f"{dataset.root}: its labels {_names(dataset.labels)} are not the model's {_names(network.labels)}; "
            "use the dataset that the model was trained for"
        )
    start = time.perf_counter()
    postprocess = Postprocess(network)
    predictions: list[Detections] = []
    for images, transforms in _batches(dataset.samples, network.input, batch_size):
        for outputs, transform in zip(predictor(images), transforms, strict=True):
            predictions.append(decode(postprocess, outputs, transform))
        if progress is not None:
            progress(len(predictions), len(dataset.samples))
    return Evaluation(average_precision(dataset, predictions), tuple(predictions), time.perf_counter() - start)


def decode(postprocess: Postprocess, heads: HeadOutputs, transform: ResizeTransform) -> Detections:
    """Return one image's detections with the settings of every average precision of this project.

    Boxes outside the image stay, unlike a detector's: the model predicted them, so each is a false positive.
    """
    return postprocess(
        *heads,
        transform,
        score_threshold=SCORE_THRESHOLD,
        iou_threshold=IOU_THRESHOLD,
        max_detections=MAX_DETECTIONS,
        keep_outside=True,
    )


def _batches(
    samples: Sequence[Sample], spec: InputSpec, batch_size: int
) -> Iterator[tuple[npt.NDArray[np.uint8], list[ResizeTransform]]]:
    for start in range(0, len(samples), batch_size):
        pairs = [preprocess(read_image(sample.path), spec) for sample in samples[start : start + batch_size]]
        yield np.stack([image for image, _ in pairs]), [transform for _, transform in pairs]


def _names(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:5])
    return f"({shown}, … {len(labels)} in all)" if len(labels) > 5 else f"({shown})"
