"""All schemes of one model side by side: what each costs in accuracy, size and time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.convert import convert_model, measure_model
from converters.load_model import load_model
from converters.quantization.calibration import DEFAULT_IMAGES
from converters.quantization.layers import DEFAULT_KEEP
from converters.quantization.mixed import KeepType
from converters.quantization.quantize import SCHEMES, Scheme
from converters.tflite.compatibility import CompatibilityResult, check_compatibility
from converters.verification.latency import interleaved_latency
from edge_ssd.data.load import DatasetFolder
from edge_ssd.errors import SettingError
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.evaluation.splits import load_eval_split
from edge_ssd.runtime.bundle import read_bundle

__all__ = ["Comparison", "SchemeRow", "compare_schemes"]


@dataclass(frozen=True)
class SchemeRow:
    """One converted file: ``size`` in bytes of the whole file, ``milliseconds`` of one invocation on one thread."""

    scheme: Scheme
    precision: AveragePrecision
    size: int
    milliseconds: float
    targets: tuple[CompatibilityResult, ...]
    path: Path

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "scheme": self.scheme,
            **self.precision.to_dict(),
            "bytes": self.size,
            "milliseconds": round(self.milliseconds, 3),
            "targets": [target.to_dict() for target in self.targets],
            "file": str(self.path),
        }


@dataclass(frozen=True)
class Comparison:
    """The Keras model's precision, a row for each scheme, and what the times were measured with."""

    keras: AveragePrecision
    rows: tuple[SchemeRow, ...]
    backend: str
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "keras": self.keras.to_dict(),
            "schemes": [row.to_dict() for row in self.rows],
            "backend": self.backend,
            "threads": self.threads,
        }


def compare_schemes(
    model_path: str | os.PathLike[str],
    data: DatasetFolder,
    out: str | os.PathLike[str],
    *,
    schemes: Sequence[Scheme] = SCHEMES,
    keep: Sequence[str] = DEFAULT_KEEP,
    keep_type: KeepType = "float",
    calibration_images: int = DEFAULT_IMAGES,
    seed: int = 0,
    limit: int | None = None,
    threads: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Convert the model with each of ``schemes`` into the folder ``out`` and measure what comes out.

    The files are called ``NAME-SCHEME.tflite``. Arguments and errors are those of
    :func:`~converters.convert.convert_model`.
    """
    model_path, out = Path(model_path), Path(out)
    if out.exists() and not out.is_dir():
        raise SettingError(f"{out}: is not a folder; give a folder for the files")
    model = load_model(model_path)
    dataset, _ = load_eval_split(data, model.network.labels, None, limit)
    say(f"measuring {model_path} on {len(dataset)} pictures")
    before = measure_model(model, dataset)
    paths = [out / f"{model_path.stem}-{scheme}.tflite" for scheme in schemes]
    conversions = [
        convert_model(
            model_path,
            data,
            path,
            scheme=scheme,
            keep=keep,
            keep_type=keep_type,
            calibration_images=calibration_images,
            seed=seed,
            float_precision=before,
            limit=limit,
            say=say,
        )
        for scheme, path in zip(schemes, paths, strict=True)
    ]
    say("timing them in turn")
    bundles = [read_bundle(path) for path in paths]
    image = bundles[0].selftest.image
    latency = interleaved_latency([bundle.flatbuffer for bundle in bundles], image, threads)
    rows = []
    for conversion, milliseconds in zip(conversions, latency.milliseconds, strict=True):
        precision = conversion.quantized_precision
        assert precision is not None  # measured, as asked
        targets = check_compatibility(conversion.graph)
        rows.append(SchemeRow(conversion.scheme, precision, conversion.size, milliseconds, targets, conversion.path))
    return Comparison(before, tuple(rows), latency.backend, latency.threads)
