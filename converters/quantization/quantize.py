"""Conversion to TFLite, in a process of its own.

Not in the caller's: a second int8 conversion in one process gives other bytes than the first, and TensorFlow
writes to the terminal whatever it is told. The child is :mod:`converters.quantization.subprocess_worker`; job,
pictures and result pass through files in a temporary folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from converters.quantization.mixed import KeepType
from edge_ssd import errors
from edge_ssd.coding import BoxCoding
from edge_ssd.errors import ModelError

__all__ = ["SCHEMES", "Scheme", "needs_calibration", "quantize"]

Scheme = Literal["int8", "mixed", "int16x8", "dynamic", "float16", "none"]
"""
int8      weights, activations and heads int8: the one for a board
mixed     int8, but chosen layers in float, or with int16 activations: where int8 costs too much
int16x8   int8 weights, int16 activations and heads: closest to float, but slow (few kernels are tuned for it)
dynamic   int8 weights, computed in float where a kernel needs it; float heads
float16   weights stored as float16, half the size of float; float heads
none      float32 throughout
"""

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)


def needs_calibration(scheme: Scheme) -> bool:
    """Whether ``scheme`` fixes the ranges of activations, for which it must see pictures."""
    return scheme in ("int8", "mixed", "int16x8")


def quantize(
    model_path: str | os.PathLike[str],
    scheme: Scheme,
    images: npt.NDArray[np.uint8] | None = None,
    *,
    keep: Sequence[str] = (),
    keep_type: KeepType = "float",
    coding: BoxCoding | None = None,
) -> bytes:
    """Convert the ``.keras`` file at ``model_path``; the same input gives the same bytes.

    Args:
        model_path: a TinySSD.
        scheme: see :data:`Scheme`. Whatever it is, the input of the result is uint8 pixels.
        images: uint8 [N, height, width, 3] to calibrate on, where :func:`needs_calibration`.
        keep, keep_type: for "mixed", the layers (:func:`~converters.quantization.layers.choose_layers`) that stay out
            of int8, and what they are computed in.
        coding: how the result writes its boxes; None is as the model does.

    Returns:
        The flatbuffer, with the standard TFLite metadata, without the bundle's appendix.

    Raises:
        ModelError: the model cannot be loaded or converted; one line that says why.
    """
    if needs_calibration(scheme) and (images is None or len(images) == 0):
        raise ValueError(f"{scheme} needs pictures to calibrate on")
    with tempfile.TemporaryDirectory(prefix="edge-ssd-") as name:
        folder = Path(name)
        if needs_calibration(scheme) and images is not None:
            np.save(folder / "images.npy", images)
        job = {
            "model": os.fspath(Path(model_path).resolve()),
            "shown": os.fspath(model_path),
            "scheme": scheme,
            "keep": list(keep),
            "keep_type": keep_type,
            "coding": None if coding is None else asdict(coding),
        }
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        process = subprocess.run(
            [sys.executable, "-m", "converters.quantization.subprocess_worker", name],
            env=_environment(name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
            check=False,
        )
        result = folder / "result.tflite"
        if process.returncode == 0 and result.is_file():
            return result.read_bytes()
        raise _failure(folder / "error.json", os.fspath(model_path), process)


def _environment(folder: str) -> dict[str, str]:
    # The packages may be used from a checkout, from any folder: the child must find the same ones.
    packages = os.fspath(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([packages, inherited] if inherited else [packages]),
        "PYTHONHASHSEED": "0",
        # TensorFlow's own temporary files go where they are removed also when the conversion is interrupted.
        "TMPDIR": folder,
        "KERAS_BACKEND": "tensorflow",
        # A processor's result does not depend on which accelerator the machine happens to have.
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _failure(path: Path, model: str, process: subprocess.CompletedProcess[str]) -> errors.EdgeSSDError:
    """The child's own error, or what little is known when it died without one."""
    if path.is_file():
        report: dict[str, Any] = json.loads(path.read_text("utf-8"))
        kind = getattr(errors, str(report["kind"]), ModelError)
        return kind(report["message"]) if issubclass(kind, errors.EdgeSSDError) else ModelError(report["message"])
    if process.returncode < 0:
        return ModelError(
            f"{model}: the conversion was killed by signal {-process.returncode}; if that is 9, memory ran out: "
            "close other programs or calibrate on fewer pictures"
        )
    last = [line for line in process.stdout.splitlines() if line.strip()][-1:] or ["no message"]
    return ModelError(f"{model}: the conversion failed: {last[0].strip()[:300]}")
