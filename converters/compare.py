"""Compare the quantization schemes of a model: accuracy, size and latency."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from converters.config import ConversionConfig
from converters.convert import convert_model
from converters.load_model import load_model
from converters.measure import measure
from converters.quantization.head_coding import equalize_box_scales
from converters.quantization.schemes import SCHEMES, Scheme
from converters.score_threshold import ThresholdChoice
from converters.tflite.compatibility import CompatibilityResult, check_compatibility
from converters.verification.latency import interleaved_latency
from edge_ssd.atomic_write import check_writable
from edge_ssd.console.counts import count
from edge_ssd.data.background_images import load_background
from edge_ssd.data.dataset import problem_lines
from edge_ssd.data.eval_split import load_eval_split
from edge_ssd.data.held_out_images import where_listed
from edge_ssd.data.load import DatasetFolder
from edge_ssd.errors import SettingError
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.evaluation.keras_predictor import KerasPredictor
from edge_ssd.runtime.bundle import read_bundle

__all__ = ["Comparison", "SchemeRow", "check_folder", "compare_schemes"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SchemeRow:
    """The bundle of one scheme: AP on validation images, its score threshold with the false alarms, bytes, median
    inference latency, and which runtimes run it."""

    scheme: Scheme
    precision: AveragePrecision
    threshold: ThresholdChoice
    size: int
    milliseconds: float
    targets: tuple[CompatibilityResult, ...]
    path: Path

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dictionary of plain JSON types."""
        return {
            "scheme": self.scheme,
            **self.precision.to_dict(),
            "threshold": self.threshold.to_dict(),
            "bytes": self.size,
            "milliseconds": round(self.milliseconds, 3),
            "targets": [target.to_dict() for target in self.targets],
            "file": str(self.path),
        }


@dataclass(frozen=True)
class Comparison:
    """AP of the Keras model, a row per scheme, and the interpreter and number of threads that measured the latency."""

    keras: AveragePrecision
    rows: tuple[SchemeRow, ...]
    backend: str
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Return the values as a dictionary of plain JSON types."""
        return {
            "keras": self.keras.to_dict(),
            "schemes": [row.to_dict() for row in self.rows],
            "backend": self.backend,
            "threads": self.threads,
        }


def check_folder(out: Path) -> None:
    """Raise SettingError or OSError if no files can be written to the folder ``out``, which may be missing."""
    if out.exists() and not out.is_dir():
        raise SettingError(f"{out}: is not a folder; give a folder for the files")
    check_writable(out / ".new")


def compare_schemes(
    model_path: str | os.PathLike[str],
    data: DatasetFolder,
    out: str | os.PathLike[str],
    config: ConversionConfig | None = None,
    *,
    schemes: Sequence[Scheme] = SCHEMES,
    threads: int = 1,
) -> Comparison:
    """Convert a ``.keras`` model with each of ``schemes`` to a measured ``NAME-SCHEME.tflite`` in the folder ``out``.

    ``data`` has the images for calibration and measurement. The scheme of ``config`` is ignored; ``threads`` is the
    number of the interpreter's threads. Raises the errors of :func:`~converters.convert.convert_model`.
    """
    model_path, out = Path(model_path), Path(out)
    config = ConversionConfig() if config is None else config
    check_folder(out)
    model = load_model(model_path)
    eval_split = load_eval_split(
        data, model.network.labels, None, config.limit, held_out=model.held_out, listed_in=where_listed(model_path)
    )
    dataset, _ = eval_split
    for line in problem_lines(dataset.problems):
        _log.warning("%s", line)
    background = load_background(config.background, dataset, data.source.strict)
    _log.info("measuring %s on %s", model_path, count(len(dataset), "image"))
    keras_precision = measure(KerasPredictor(model), model.network, dataset, "float").precision
    model = equalize_box_scales(model)  # once, for all schemes
    results = [
        convert_model(
            model_path,
            data,
            out / f"{model_path.stem}-{scheme}.tflite",
            replace(config, scheme=scheme),
            model=model,
            eval_split=eval_split,
            background=background,
            float_precision=keras_precision,
        )
        for scheme in schemes
    ]
    _log.info("measuring latency")
    bundles = [read_bundle(result.path) for result in results]
    images = [bundle.selftest.image for bundle in bundles]
    latency = interleaved_latency([bundle.flatbuffer for bundle in bundles], images, threads)
    rows = []
    for result, milliseconds in zip(results, latency.milliseconds, strict=True):
        assert result.quantized_precision is not None
        targets = check_compatibility(result.graph)
        scheme, precision = result.config.scheme, result.quantized_precision
        rows.append(
            SchemeRow(scheme, precision, result.score_threshold, result.size, milliseconds, targets, result.path)
        )
    return Comparison(keras_precision, tuple(rows), latency.backend, latency.threads)
