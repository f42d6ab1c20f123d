"""Convert a ``.keras`` model to a measured and self-tested bundle."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from converters.config import ConversionConfig
from converters.load_model import load_model
from converters.passes import FILE_PASSES, MODEL_PASSES, apply_passes
from converters.quantization.calibration import Calibration, calibration_warnings, choose_calibration
from converters.quantization.schemes import CALIBRATED_SCHEMES
from converters.state import ConversionState
from converters.subprocess_worker import apply_in_subprocess
from converters.tflite.compatibility import graph_to_dict
from converters.tflite.operators import Graph, read_graph
from edge_ssd.atomic_write import atomic_path, check_writable
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import DatasetFolder
from edge_ssd.data.splits import load_eval_split, load_training_split, subsample_evenly
from edge_ssd.errors import BundleError, SettingError
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.network import InputSpec, Network
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.preprocess import preprocess, read_image

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["ConversionResult", "convert_model"]

_log = logging.getLogger(__name__)

# Number of validation images that the calibration images are compared with.
_COMPARED_IMAGES = 64


@dataclass(frozen=True)
class ConversionResult:
    """A written file.

    Attributes:
        path: the file.
        config: settings of the conversion.
        size: bytes of the file.
        model_size: bytes of the flatbuffer in it.
        graph: operators of the flatbuffer.
        calibrated_on: number of calibration images, 0 for a scheme that needs none.
        warnings: reasons why the calibration may be unsuitable, one line each.
        float_precision, quantized_precision: before and after conversion; None if not measured.
        selftest_detections: number of detections in the embedded image.
        seconds: duration of the conversion.
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
    selftest_detections: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
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
            "self_test_objects": self.selftest_detections,
            "seconds": round(self.seconds, 1),
        }


def convert_model(
    model_path: str | os.PathLike[str],
    data: DatasetFolder,
    out: str | os.PathLike[str],
    config: ConversionConfig | None = None,
    *,
    model: TinySSD | None = None,
    float_precision: AveragePrecision | None = None,
) -> ConversionResult:
    """Convert a model with the passes of :mod:`converters.passes` and write the file ``out`` atomically.

    Args:
        model_path: a ``.keras`` file.
        data: the training split calibrates, the validation split measures; an undivided dataset does both.
        out: a path that ends in ``.tflite``; an existing file is kept if the conversion fails.
        config: settings; None for the defaults.
        model: content of ``model_path``, if it is loaded already.
        float_precision: average precision of the model on the same images, if it is measured already.

    Raises:
        ModelError: the model cannot be loaded or converted.
        DataError, ImageError: the dataset is unsuitable or an image cannot be read.
        SettingError: a setting is invalid.
        BundleError: the result fails its self-test.
        OSError: ``out`` cannot be written.
    """
    start, source, out = time.perf_counter(), Path(model_path), Path(out)
    config = ConversionConfig() if config is None else config
    _check_output(out)
    if config.selftest_image is not None:
        read_image(config.selftest_image)
    model = load_model(source) if model is None else model
    dataset, split = _load_dataset(data, model.network, config)
    calibration: Calibration | None = None
    warnings: tuple[str, ...] = ()
    if config.scheme in CALIBRATED_SCHEMES:
        calibration, warnings = _calibrate(data, dataset, model.network, config)
        _log.info("calibrating on %d images, converting to %s", len(calibration), config.scheme)
    else:
        _log.info("converting to %s", config.scheme)
    state = ConversionState(
        config=config,
        model=model,
        source=source,
        calibration=calibration,
        out=out,
        dataset=dataset,
        dataset_name=f"{data.name}, {split}",
        float_precision=float_precision,
    )
    state = apply_passes(state, MODEL_PASSES)
    state = apply_in_subprocess(state)
    state = apply_passes(state, FILE_PASSES)
    with atomic_path(out) as temporary:
        temporary.write_bytes(state.file)
        if config.profile is None:
            _verify_written_bundle(temporary, out)
    assert state.selftest is not None
    return ConversionResult(
        path=out,
        config=config,
        size=len(state.file),
        model_size=len(state.flatbuffer),
        graph=read_graph(state.flatbuffer),
        calibrated_on=0 if calibration is None else len(calibration),
        warnings=warnings,
        float_precision=state.float_precision,
        quantized_precision=state.quantized_precision,
        selftest_detections=len(state.selftest.detections),
        seconds=time.perf_counter() - start,
    )


def _check_output(out: Path) -> None:
    """Raise before a conversion whose result could not be written."""
    if out.suffix != ".tflite":
        raise SettingError(f"{out}: the name of the output must end in .tflite")
    if out.is_dir():
        raise SettingError(f"{out}: is a folder; give the name of the file to write")
    check_writable(out)


def _load_dataset(data: DatasetFolder, network: Network, config: ConversionConfig) -> tuple[Dataset, str]:
    """Return the images to measure on and to choose the self-test from, and the name of their split."""
    if config.measure or data.splits != ("train",):
        return load_eval_split(data, network.labels, None, config.limit, "skip the measurement with --no-accuracy")
    return subsample_evenly(load_training_split(data, network.labels), config.limit), "train"


def _calibrate(
    data: DatasetFolder, validation: Dataset, network: Network, config: ConversionConfig
) -> tuple[Calibration, tuple[str, ...]]:
    """Return the calibration images, and warnings, which are also logged."""
    dataset = load_training_split(data, network.labels)
    calibration = choose_calibration(dataset, network.input, config.calibration_images, config.seed)
    warnings = calibration_warnings(calibration.images, _network_inputs(validation, network.input))
    for warning in warnings:
        _log.warning("%s", warning)
    return calibration, warnings


def _network_inputs(dataset: Dataset, spec: InputSpec) -> npt.NDArray[np.uint8]:
    """Return some images at the network's input size, uint8 [N, height, width, 3]."""
    samples = subsample_evenly(dataset, _COMPARED_IMAGES).samples
    return np.stack([preprocess(read_image(sample.path), spec)[0] for sample in samples])


def _verify_written_bundle(path: Path, out: Path) -> None:
    """Read the file back and run its self-test."""
    with Detector(path) as detector:
        result = detector.selftest()
    if not result.passed:
        raise BundleError(f"{out}: not written, because it fails its own self-test on this machine: {result.problem}")
