"""Convert a ``.keras`` model to a measured and self-tested bundle."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters.bundle.selftest import choose_selftest, placeholder_selftest
from converters.bundle.weights_digest import weights_sha256
from converters.bundle.writer import BundleContent, bundle_bytes, embeddable_held_out
from converters.config import ConversionConfig
from converters.conversion_result import ConversionResult
from converters.interop.check import check_profile
from converters.interop.export import Profile, profile_bytes, profile_model, profile_warnings
from converters.load_model import load_model
from converters.measure import detect_all, measure
from converters.model_warnings import calibration_domain_warnings, precision_warnings
from converters.passes import NO_IMAGES, ConversionState
from converters.quantization.calibration import Calibration, choose_calibration, read_network_inputs
from converters.quantization.head_coding import equalize_box_scales
from converters.quantization.image_warnings import calibration_warnings
from converters.quantization.schemes import CALIBRATED_SCHEMES, Scheme
from converters.score_threshold import DEFAULT_THRESHOLD, ThresholdChoice, choose_threshold
from converters.subprocess_worker import apply_in_subprocess
from converters.tflite.operators import read_graph
from edge_ssd.atomic_write import atomic_path, check_writable
from edge_ssd.console.activity import Activity
from edge_ssd.console.counts import count
from edge_ssd.data.background_images import load_background
from edge_ssd.data.dataset import Dataset, Sample, problem_lines
from edge_ssd.data.eval_split import load_calibration_split, load_eval_split
from edge_ssd.data.held_out_images import where_listed
from edge_ssd.data.load import DatasetFolder
from edge_ssd.data.splits import load_training_split, subsample_evenly
from edge_ssd.errors import BundleError, SettingError
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.evaluation.false_alarms import score_detections
from edge_ssd.evaluation.keras_predictor import KerasPredictor
from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
from edge_ssd.runtime.bundle import Bundle, Defaults, read_bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.preprocess import read_image
from edge_ssd.version import __version__

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["check_arguments", "convert_model"]

_log = logging.getLogger(__name__)

_DEFAULTS = Defaults(score_threshold=DEFAULT_THRESHOLD, iou_threshold=0.5, max_detections=100)
# Number of validation images that the calibration images are compared with.
_COMPARED_IMAGES = 64
# The best of these becomes the self-test; more images take more time and are hardly better.
_SELFTEST_CANDIDATES = 32


def convert_model(
    model_path: str | os.PathLike[str],
    data: DatasetFolder,
    out: str | os.PathLike[str],
    config: ConversionConfig | None = None,
    *,
    model: TinySSD | None = None,
    eval_split: tuple[Dataset, str] | None = None,
    background: Sequence[Sample] | None = None,
    float_precision: AveragePrecision | None = None,
) -> ConversionResult:
    """Convert a model and write the file ``out`` atomically.

    The file's network is the model's, with the scale of box centers also for box sizes. The conversion runs in a child
    process; its result is measured and tested as a file, opened as on the device.

    Args:
        model_path: a ``.keras`` file.
        data: its training split is for calibration, its validation split for measurement. An undivided one is for
            both, up to the images that the model's training held out, which are for measurement only.
        out: a path that ends in ``.tflite``; an existing file is kept if the conversion fails.
        model: content of ``model_path``, if it is loaded already.
        eval_split: the images to measure on and the name of their split, if they are loaded already.
        background: the images of ``config.background``, if they are loaded already.
        float_precision: average precision of the model on these images, if it is measured already.

    Raises:
        ModelError: the model cannot be loaded or converted.
        DataError, ImageError: the dataset is unsuitable or an image cannot be read.
        SettingError: a setting is invalid.
        BundleError: the result fails its self-test.
        OSError: ``out`` cannot be written.
    """
    start, source, out = time.perf_counter(), Path(model_path), Path(out)
    config = ConversionConfig() if config is None else config
    check_arguments(out, config)
    model = equalize_box_scales(load_model(source) if model is None else model)
    network, kept_layers = model.network, config.kept_layers(model.network)
    dataset, split = _load_dataset(data, model, source, config) if eval_split is None else eval_split
    if eval_split is None:  # else the caller reported them
        for line in problem_lines(dataset.problems):
            _log.warning("%s", line)
    if background is None:
        background = load_background(config.background, dataset, data.source.strict)
    calibration, warnings = _calibrate(data, dataset, model, config)
    state = ConversionState(config, model, NO_IMAGES if calibration is None else calibration.images)
    content = BundleContent(
        name=config.name or out.stem,
        network=network,
        flatbuffer=apply_in_subprocess(state, source),
        quantization=config.scheme,
        defaults=_DEFAULTS,
        selftest=placeholder_selftest(network, _DEFAULTS.score_threshold),
        calibration=calibration,
        kept_layers=dict.fromkeys(kept_layers, config.keep_type),
        tools=_tool_versions(config.scheme),
        accuracy=None,
        held_out=embeddable_held_out(model.held_out),
        weights_sha256=weights_sha256(model),
    )
    draft = _read_draft(content)
    before = after = scores = None
    if config.measure:
        _log.info("measuring average precision on %s, before and after", count(len(dataset), "image"))
        before = float_precision or measure(KerasPredictor(model), network, dataset, "float").precision
        predictor = TFLitePredictor(draft)
        evaluation = measure(predictor, network, dataset, "converted")
        after = evaluation.precision
        accuracy = {"float": before.to_dict(), "quantized": after.to_dict(), "data": f"{data.name}, {split}"}
        content = replace(content, accuracy=accuracy)
        empty = detect_all(predictor, network, background, "without objects")
        scores = score_detections(dataset, evaluation.predictions, empty)
        warnings += _log_warnings(precision_warnings(before, after))
    choice = choose_threshold(config, scores)
    content = _with_threshold(content, choice)
    candidates = [sample.path for sample in subsample_evenly(dataset, _SELFTEST_CANDIDATES).samples]
    if config.selftest_image is not None:
        candidates = [config.selftest_image]
    with Activity("choosing an image for the self-test"):
        content = replace(content, selftest=choose_selftest(draft, candidates, choice.threshold))
    flatbuffer, file = _build_file(content, config.profile, out)
    with atomic_path(out) as temporary:
        temporary.write_bytes(file)
        if config.profile is None:
            _verify_written_bundle(temporary, out)
    return ConversionResult(
        path=out,
        config=config,
        size=len(file),
        model_size=len(flatbuffer),
        graph=read_graph(flatbuffer),
        calibrated_on=0 if calibration is None else len(calibration),
        warnings=warnings,
        float_precision=before,
        quantized_precision=after,
        score_threshold=choice,
        selftest_detections=len(content.selftest.detections),
        selftest_threshold=content.selftest.score_threshold,
        seconds=time.perf_counter() - start,
    )


def check_arguments(out: Path, config: ConversionConfig) -> None:
    """Raise SettingError, ImageError or OSError if ``out`` cannot be written or the image of the self-test not read."""
    if out.suffix != ".tflite":
        raise SettingError(f"{out}: the name of the output must end in .tflite")
    if out.is_dir():
        raise SettingError(f"{out}: is a folder; give the name of the file to write")
    check_writable(out)
    if config.selftest_image is not None:
        read_image(config.selftest_image)


def _load_dataset(data: DatasetFolder, model: TinySSD, source: Path, config: ConversionConfig) -> tuple[Dataset, str]:
    """Return the images to measure on and to choose the self-test from, and the name of their split."""
    labels = model.network.labels
    if config.measure or data.splits != ("train",):
        return load_eval_split(
            data,
            labels,
            None,
            config.limit,
            "skip the measurement with --no-accuracy",
            held_out=model.held_out,
            listed_in=where_listed(source),
            to_measure=config.measure,
        )
    return data.drop_damaged(subsample_evenly(load_training_split(data, labels), config.limit)), "train"


def _calibrate(
    data: DatasetFolder, validation: Dataset, model: TinySSD, config: ConversionConfig
) -> tuple[Calibration | None, tuple[str, ...]]:
    """Return the calibration images, if the scheme needs them, and warnings, which are also logged."""
    if config.scheme not in CALIBRATED_SCHEMES:
        _log.info("converting to %s", config.scheme)
        return None, ()
    network = model.network
    dataset = load_calibration_split(data, network.labels, model.held_out)
    with Activity("checking the calibration images"):
        calibration = choose_calibration(
            dataset, network.input, config.calibration_images, config.seed, data.source.strict
        )
        compared = read_network_inputs(subsample_evenly(validation, _COMPARED_IMAGES).samples, network.input)
        warnings = [
            *calibration_warnings(calibration.images, compared),
            *calibration_domain_warnings(model, calibration, _DEFAULTS.score_threshold),
        ]
    _log.info("calibrating on %s, converting to %s", count(len(calibration), "image"), config.scheme)
    return calibration, _log_warnings(warnings)


def _with_threshold(content: BundleContent, choice: ThresholdChoice) -> BundleContent:
    """Return ``content`` with a chosen threshold and, if it was measured, its false alarms beside the precision."""
    accuracy = content.accuracy
    if accuracy is not None and choice.measured is not None:
        accuracy = {**accuracy, "false_alarms": choice.measured.to_dict()}
    return replace(content, defaults=replace(content.defaults, score_threshold=choice.threshold), accuracy=accuracy)


def _log_warnings(warnings: Sequence[str]) -> tuple[str, ...]:
    for warning in warnings:
        _log.warning("%s", warning)
    return tuple(warnings)


def _read_draft(content: BundleContent) -> Bundle:
    """Return a bundle as it is read from a file."""
    with tempfile.TemporaryDirectory(prefix="edge-ssd-") as folder:
        path = Path(folder) / "draft.tflite"
        path.write_bytes(bundle_bytes(content))
        return read_bundle(path)


def _build_file(content: BundleContent, profile: Profile | None, out: Path) -> tuple[bytes, bytes]:
    """Return the flatbuffer and the content of the file ``out``: a bundle, or a file for another runtime."""
    if profile is None:
        return content.flatbuffer, bundle_bytes(content)
    for line in profile_warnings(profile, content.network):
        _log.warning("%s", line)
    flatbuffer = profile_model(content.flatbuffer, content.network, content.defaults)
    check_profile(flatbuffer, content, out)
    return flatbuffer, profile_bytes(profile, flatbuffer, content)


def _verify_written_bundle(path: Path, out: Path) -> None:
    with Detector(path) as detector:
        result = detector.selftest()
    if not result.passed:
        raise BundleError(f"{out}: not written, because it fails its own self-test on this machine: {result.problem}")


def _tool_versions(scheme: Scheme) -> dict[str, str]:
    """Return name → version of the packages that influence a conversion with ``scheme``, and of Python."""
    import keras
    import PIL
    import tensorflow as tf

    versions = {
        "edge-ssd": __version__,
        "tensorflow": str(tf.__version__),
        "keras": str(keras.__version__),
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    if scheme == "mixed":
        versions["ai-edge-quantizer"] = version("ai-edge-quantizer")
    return versions
