"""Result of a verification: three evaluations on the same images and the differences between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.verification.agreement import Agreement, detection_difference
from converters.verification.error_analysis import ErrorAnalysis
from converters.verification.latency import Latency
from edge_ssd.console.counts import signed
from edge_ssd.data.dataset import Dataset
from edge_ssd.evaluation.bootstrap import Interval
from edge_ssd.evaluation.evaluate import Evaluation
from edge_ssd.evaluation.false_alarms import OperatingPoint
from edge_ssd.evaluation.matching import IOU_THRESHOLDS, ClassMatches, match_images, precision_at_recalls

__all__ = ["CURVE_IOUS", "MetricRow", "Verification", "describe_change", "describe_ratio", "mean_precision"]

CURVE_IOUS: tuple[float, ...] = (0.5, 0.75)
"""IoU thresholds of the precision–recall curves: those of AP50 and AP75."""

_METRICS = {"AP": "ap", "AP50": "ap50", "AP75": "ap75"}


@dataclass(frozen=True)
class MetricRow:
    """The metric ``name``, 0–1, of three models: Keras, its float ``.tflite``, and the converted one."""

    name: str
    keras: float
    float_tflite: float
    converted: float

    def cells(self) -> tuple[str, ...]:
        """Return the texts of a table row: name, three values, and the converted model's value minus Keras's."""
        values = (self.keras, self.float_tflite, self.converted)
        return (self.name, *(f"{value:.3f}" for value in values), signed(self.converted - self.keras, 4))


@dataclass(frozen=True)
class Verification:
    """Evaluations of three models on the samples of ``dataset``; ``agreement`` compares the first and the last.

    Attributes:
        float_result, float_tflite_result, quantized_result: of the Keras model, its float ``.tflite`` and the bundle.
        interval: 95 % confidence interval of ``difference``; None for fewer than two images.
        sizes: bytes of the float and the converted flatbuffer.
        operating_points: false alarms and recall of the Keras model and the bundle, with the bundle's score threshold.
        latency: median of the float and the converted flatbuffer, measured in turns, on one thread.
        error_analysis: None if it was not requested.
        made_from_model: whether the bundle was converted from the Keras model; None if it does not state that.
    """

    dataset: Dataset
    float_result: Evaluation
    float_tflite_result: Evaluation
    quantized_result: Evaluation
    interval: Interval | None
    agreement: Agreement
    operating_points: tuple[OperatingPoint, OperatingPoint]
    sizes: tuple[int, int]
    latency: Latency
    error_analysis: ErrorAnalysis | None = None
    made_from_model: bool | None = None

    @property
    def difference(self) -> float:
        """AP (0–1) of the bundle minus that of the Keras model: negative for a loss."""
        return self.quantized_result.precision.ap - self.float_result.precision.ap

    @property
    def speed_up(self) -> float:
        """Latency of the float ``.tflite`` divided by that of the bundle."""
        return self.latency.milliseconds[0] / self.latency.milliseconds[1]

    @property
    def size_ratio(self) -> float:
        """Size of the float ``.tflite`` divided by the size of the bundle's flatbuffer."""
        return self.sizes[0] / self.sizes[1]

    @property
    def _evaluations(self) -> tuple[Evaluation, Evaluation, Evaluation]:
        return self.float_result, self.float_tflite_result, self.quantized_result

    @cached_property
    def matches(self) -> tuple[list[ClassMatches], ...]:
        """Matches of detections with labels: a list with an entry per class for Keras, float ``.tflite`` and bundle."""
        return tuple(match_images(self.dataset, evaluation.predictions) for evaluation in self._evaluations)

    @cached_property
    def differences(self) -> tuple[float, ...]:
        """:func:`~converters.verification.agreement.detection_difference` of Keras model and bundle in each image."""
        pairs = zip(self.float_result.predictions, self.quantized_result.predictions, strict=True)
        return tuple(detection_difference(*pair, self.agreement.score_threshold) for pair in pairs)

    def most_different(self) -> list[int]:
        """Return the indices of the dataset's samples in descending order of :attr:`differences`."""
        order: list[int] = np.argsort(-np.array(self.differences), kind="stable").tolist()
        return order

    def rows(self) -> list[MetricRow]:
        """Return AP, AP50, AP75 and, for more than one class, the AP of each class with objects."""
        scores = [evaluation.precision for evaluation in self._evaluations]
        rows = [MetricRow(name, *(getattr(score, field) for score in scores)) for name, field in _METRICS.items()]
        labels = self.dataset.labels
        for label in labels if len(labels) > 1 else ():
            keras, float_tflite, converted = (score.per_class[label] for score in scores)
            if keras is not None and float_tflite is not None and converted is not None:
                rows.append(MetricRow(label, keras, float_tflite, converted))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers of the report as a dictionary of plain JSON types, rounded."""
        samples, interval, analysis = self.dataset.samples, self.interval, self.error_analysis
        float_ms, quantized_ms = self.latency.milliseconds
        return {
            "made_from_model": self.made_from_model,
            "float": self.float_result.precision.to_dict(),
            "float_tflite": self.float_tflite_result.precision.to_dict(),
            "quantized": self.quantized_result.precision.to_dict(),
            "difference": round(self.difference, 6),
            "difference_interval": None if interval is None else [round(interval.low, 6), round(interval.high, 6)],
            # As in earlier versions.
            "loss": round(-self.difference, 6) + 0.0,
            "loss_interval": None if interval is None else [round(-interval.high, 6), round(-interval.low, 6)],
            "agreement": self.agreement.to_dict(),
            "false_alarms": {
                name: point.to_dict() for name, point in zip(("float", "quantized"), self.operating_points, strict=True)
            },
            "size": {"float": self.sizes[0], "quantized": self.sizes[1], "ratio": round(self.size_ratio, 3)},
            "latency": {
                "float_ms": round(float_ms, 3),
                "quantized_ms": round(quantized_ms, 3),
                "speed_up": round(self.speed_up, 3),
                "backend": self.latency.backend,
                "threads": self.latency.threads,
            },
            "pictures": [
                {"picture": samples[i].path.name, "disagreement": round(self.differences[i], 6)}
                for i in self.most_different()
            ],
            "curves": {"float": _curves(self.matches[0]), "quantized": _curves(self.matches[2])},
            "diagnosis": None if analysis is None else analysis.to_dict(),
        }


def describe_change(difference: float) -> str:
    """Return a difference of AP, converted − float, in words: "0.0028 AP lost", "0.0014 AP gained"."""
    return f"{abs(difference):.4f} AP {'gained' if difference > 0 else 'lost'}"


def describe_ratio(before: float, after: float, less: str, more: str) -> str:
    """Return how many times less (``less``: "faster") or ``more`` ("slower") ``after`` is than ``before``."""
    if f"{max(before, after) / min(before, after):.3g}" == "1":
        return f"not {less}"
    return f"{before / after:.3g} times {less}" if after < before else f"{after / before:.3g} times {more}"


def mean_precision(classes: Sequence[ClassMatches], iou: float) -> npt.NDArray[np.float64] | None:
    """Return precision [101] at recalls 0, 0.01, … 1 and IoU ≥ ``iou``, the mean of classes with objects; else None."""
    row = int(np.argmin(np.abs(np.array(IOU_THRESHOLDS) - iou)))
    tables = [precision_at_recalls(matches) for matches in classes]
    rows = [table[row] for table in tables if table is not None]
    mean: npt.NDArray[np.float64] | None = np.mean(rows, axis=0) if rows else None
    return mean


def _curves(matches: list[ClassMatches]) -> dict[str, list[float] | None]:
    curves = {f"{iou:g}": mean_precision(matches, iou) for iou in CURVE_IOUS}
    return {iou: None if curve is None else curve.round(4).tolist() for iou, curve in curves.items()}
