"""The whole conversion: a ``.keras`` model and labelled pictures in, a measured and self-tested bundle out."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from converters.bundle.selftest import choose_selftest, placeholder_selftest
from converters.bundle.writer import BundleContent, bundle_bytes
from converters.interop.check import check_profile
from converters.interop.export import Profile, profile_bytes, profile_model, profile_warnings
from converters.load_model import load_model
from converters.quantization.calibration import DEFAULT_IMAGES, calibration_warnings, choose_calibration
from converters.quantization.layers import DEFAULT_KEEP, choose_layers
from converters.quantization.mixed import KeepType
from converters.quantization.output_ranges import equalize_box_scales
from converters.quantization.quantize import Scheme, needs_calibration, quantize
from converters.tflite.operators import Graph, read_graph
from edge_ssd.atomic_write import atomic_path, check_writable
from edge_ssd.console.progress import Progress
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.load import DatasetFolder
from edge_ssd.errors import BundleError, SettingError
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.evaluation.evaluate import evaluate
from edge_ssd.evaluation.keras_predictor import KERAS_BATCH_SIZE, KerasPredictor
from edge_ssd.evaluation.splits import load_eval_split, load_training_split, subsample_evenly
from edge_ssd.evaluation.tflite_predictor import TFLitePredictor
from edge_ssd.network import InputSpec
from edge_ssd.runtime.bundle import Defaults, read_bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.preprocess import preprocess, read_image
from edge_ssd.version import __version__

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["DEFAULTS", "Conversion", "convert_model", "measure_model"]

# What a detector uses unless it is told otherwise.
DEFAULTS = Defaults(score_threshold=0.5, iou_threshold=0.5, max_detections=100)

# The best of so many pictures becomes the self-test; more would only take longer.
_SELFTEST_CANDIDATES = 32

# Validation pictures that the calibration's are compared with.
_COMPARED_PICTURES = 64


@dataclass(frozen=True)
class Conversion:
    """What was made.

    Attributes:
        profile: None for a bundle.
        size: of the file in bytes.
        model_size: of the flatbuffer in it.
        graph: its operators.
        calibrated_on: number of pictures, 0 where the scheme needs none.
        warnings: why the calibration may not hold, one line each.
        float_precision, quantized_precision: None where they were not measured.
        selftest_detections: how many objects the embedded picture must give again.
        seconds: in all.
    """

    path: Path
    scheme: Scheme
    profile: Profile | None
    size: int
    model_size: int
    graph: Graph
    calibrated_on: int
    warnings: tuple[str, ...]
    float_precision: AveragePrecision | None
    quantized_precision: AveragePrecision | None
    selftest_detections: int
    seconds: float


def convert_model(
    model_path: str | os.PathLike[str],
    data: DatasetFolder,
    out: str | os.PathLike[str],
    *,
    scheme: Scheme = "int8",
    keep: Sequence[str] = DEFAULT_KEEP,
    keep_type: KeepType = "float",
    profile: Profile | None = None,
    calibration_images: int = DEFAULT_IMAGES,
    seed: int = 0,
    name: str | None = None,
    measure: bool = True,
    float_precision: AveragePrecision | None = None,
    limit: int | None = None,
    selftest_image: str | os.PathLike[str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Conversion:
    """Convert the model at ``model_path`` and write the bundle ``out``, whole or not at all.

    Args:
        data: a data set. The training part calibrates, the validation part measures; a set that is not divided
            serves for both.
        scheme: see :data:`converters.quantization.quantize.Scheme`.
        keep, keep_type: with "mixed", the layers that stay out of int8 (patterns of
            :func:`~converters.quantization.layers.layer_names`), and what they are computed in.
        profile: write a file for another runtime instead of a bundle, see :data:`converters.interop.export.Profile`.
        calibration_images, seed: how many pictures to calibrate on, and which.
        name: of the model, for people; None takes the output's name.
        measure: whether to measure average precision before and after, on ``limit`` pictures at most.
        float_precision: of the model on the same pictures, where the caller has measured it already.
        selftest_image: the picture to embed; None chooses one from ``data``. It is published with the file.
        say: told of each step, one line.

    Raises :class:`ModelError`, :class:`DataError`, :class:`ImageError`, :class:`SettingError`, and OSError when the
    output cannot be written; an earlier file is left as it was.
    """
    start, out = time.perf_counter(), Path(out)
    _check_output(out)
    if selftest_image is not None:
        read_image(selftest_image)
    model = equalize_box_scales(load_model(model_path))
    network = model.network
    if measure or data.splits != ("train",):
        held_out, part = load_eval_split(data, network.labels, None, limit, "skip the measurement with --no-accuracy")
    else:  # to choose the self-test from
        held_out, part = subsample_evenly(load_training_split(data, network.labels), limit), "train"
    kept = choose_layers(network, keep) if scheme == "mixed" else ()
    calibration = None
    warnings: tuple[str, ...] = ()
    if needs_calibration(scheme):
        calibration = choose_calibration(
            load_training_split(data, network.labels), network.input, calibration_images, seed
        )
        warnings = calibration_warnings(calibration.images, _input_pictures(held_out, network.input))
        say(f"calibrating on {len(calibration)} pictures, converting to {scheme}")
        for warning in warnings:
            say(f"warning: {warning}")
    else:
        say(f"converting to {scheme}")
    content = BundleContent(
        name=name or out.stem,
        network=network,
        flatbuffer=quantize(
            model_path,
            scheme,
            None if calibration is None else calibration.images,
            keep=kept,
            keep_type=keep_type,
            coding=network.coding,
        ),
        quantization=scheme,
        defaults=DEFAULTS,
        selftest=placeholder_selftest(network, DEFAULTS.score_threshold),
        calibration=calibration,
        kept_layers=dict.fromkeys(kept, keep_type),
        tools=_tools(scheme),
        accuracy=None,
    )
    # What is measured and tested from here on is a bundle on disk, opened as the device opens it.
    with tempfile.TemporaryDirectory(prefix="edge-ssd-") as folder:
        draft = Path(folder) / "draft.tflite"
        draft.write_bytes(bundle_bytes(content))
        before = after = None
        if measure:
            before, after = _measure(model, draft, held_out, float_precision, say)
            summary = {"float": before.to_dict(), "quantized": after.to_dict()}
            content = replace(content, accuracy={**summary, "data": f"{data.name}, {part}"})
        say("choosing a picture for the self-test")
        paths = [Path(selftest_image)] if selftest_image else _paths(subsample_evenly(held_out, _SELFTEST_CANDIDATES))
        content = replace(content, selftest=choose_selftest(draft, paths))
    flatbuffer = content.flatbuffer
    if profile is None:
        written = bundle_bytes(content)
    else:
        for line in profile_warnings(profile, network):
            say(f"warning: {line}")
        flatbuffer = profile_model(flatbuffer, network, content.defaults)
        written = profile_bytes(profile, flatbuffer, content)
        check_profile(flatbuffer, content, out)
    with atomic_path(out) as temporary:
        temporary.write_bytes(written)
        if profile is None:
            _verify_written_bundle(temporary, out)
    return Conversion(
        path=out,
        scheme=scheme,
        profile=profile,
        size=len(written),
        model_size=len(flatbuffer),
        graph=read_graph(flatbuffer),
        calibrated_on=0 if calibration is None else len(calibration),
        warnings=warnings,
        float_precision=before,
        quantized_precision=after,
        selftest_detections=len(content.selftest.detections),
        seconds=time.perf_counter() - start,
    )


def _check_output(out: Path) -> None:
    """Now rather than after a minute of work."""
    if out.suffix != ".tflite":
        raise SettingError(f"{out}: the name of the output must end in .tflite")
    if out.is_dir():
        raise SettingError(f"{out}: is a folder; give the name of the file to write")
    check_writable(out)


def _measure(
    model: TinySSD,
    draft: Path,
    dataset: Dataset,
    before: AveragePrecision | None,
    say: Callable[[str], None],
) -> tuple[AveragePrecision, AveragePrecision]:
    say(f"measuring average precision on {len(dataset)} pictures, before and after")
    before = before or measure_model(model, dataset)
    with Progress("converted", "pictures") as progress:
        after = evaluate(TFLitePredictor(read_bundle(draft)), model.network, dataset, progress=progress)
    return before, after.precision


def measure_model(model: TinySSD, dataset: Dataset) -> AveragePrecision:
    """Average precision of the Keras model."""
    with Progress("float", "pictures") as progress:
        result = evaluate(KerasPredictor(model), model.network, dataset, batch_size=KERAS_BATCH_SIZE, progress=progress)
    return result.precision


def _input_pictures(dataset: Dataset, spec: InputSpec) -> npt.NDArray[np.uint8]:
    """Some pictures as the network sees them, uint8 [N, height, width, 3]."""
    few = subsample_evenly(dataset, _COMPARED_PICTURES)
    return np.stack([preprocess(read_image(sample.path), spec)[0] for sample in few.samples])


def _verify_written_bundle(path: Path, out: Path) -> None:
    """The file as it was written is read back and must find in its picture what it says."""
    with Detector(path) as detector:
        result = detector.selftest()
    if not result.passed:
        raise BundleError(f"{out}: not written, since it fails its own self-test here: {result.problem}")


def _paths(dataset: Dataset) -> list[Path]:
    return [sample.path for sample in dataset.samples]


def _tools(scheme: Scheme) -> dict[str, str]:
    from importlib.metadata import version

    import keras
    import PIL
    import tensorflow as tf

    versions: dict[str, Any] = {
        "edge-ssd": __version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    if scheme == "mixed":
        versions["ai-edge-quantizer"] = version("ai-edge-quantizer")
    return versions
