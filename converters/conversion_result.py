"""Result of a conversion: the written file, what it was calibrated on, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.config import ConversionConfig
from converters.score_threshold import ThresholdChoice
from converters.tflite.compatibility import graph_to_dict
from converters.tflite.operators import Graph
from edge_ssd.evaluation.average_precision import AveragePrecision

__all__ = ["ConversionResult"]


@dataclass(frozen=True)
class ConversionResult:
    """The written file ``path``, made in ``seconds``.

    Attributes:
        size: bytes of the file.
        model_size: bytes of the flatbuffer in it.
        graph: operators of the flatbuffer.
        calibrated_on: number of calibration images, 0 for a scheme that needs none.
        warnings: reasons to doubt the calibration or the models, one line each.
        float_precision, quantized_precision: AP before and after conversion; None if not measured.
        score_threshold: the bundle's default score threshold, and its false alarms and recall.
        selftest_detections: number of objects in the self-test image with a score of at least ``selftest_threshold``.
    """

    path: Path
    config: ConversionConfig
    size: int
    model_size: int
    graph: Graph
    calibrated_on: int
    warnings: tuple[str, ...]
    float_precision: AveragePrecision | None
    quantized_precision: AveragePrecision | None
    score_threshold: ThresholdChoice
    selftest_detections: int
    selftest_threshold: float
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return a summary as a dictionary of plain JSON types."""
        accuracy = None
        if self.float_precision is not None and self.quantized_precision is not None:
            accuracy = {"float": self.float_precision.to_dict(), "quantized": self.quantized_precision.to_dict()}
        return {
            "file": str(self.path),
            "scheme": self.config.scheme,
            "profile": self.config.profile,
            "bytes": self.size,
            "model_bytes": self.model_size,
            **graph_to_dict(self.graph),
            "calibrated_on": self.calibrated_on,
            "warnings": list(self.warnings),
            "accuracy": accuracy,
            "threshold": self.score_threshold.to_dict(),
            "self_test_objects": self.selftest_detections,
            "seconds": round(self.seconds, 1),
        }
