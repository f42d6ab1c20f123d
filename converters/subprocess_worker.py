"""Run the network passes in a child process: ``python -m converters.subprocess_worker FOLDER``.

In the caller's process a second int8 conversion would give other bytes than the first, and TensorFlow writes to the
terminal whatever its log level is. The child gets the prepared model and the configuration as files in a temporary
folder (``job.json``, ``weights.npz``, ``images.npy``) and writes ``result.tflite``, or ``error.json`` with status 1.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from converters.config import ConversionConfig
from converters.passes import NETWORK_PASSES, apply_passes
from converters.quantization.calibration import Calibration
from converters.state import ConversionState
from edge_ssd import errors
from edge_ssd.errors import EdgeSSDError, ModelError
from edge_ssd.network import Network

__all__ = ["apply_in_subprocess", "main"]


def apply_in_subprocess(state: ConversionState) -> ConversionState:
    """Return ``state`` with the flatbuffer that ``NETWORK_PASSES`` make of its model; the same input, the same bytes.

    Raises:
        ModelError: the model cannot be converted, with the reason in one line.
    """
    with tempfile.TemporaryDirectory(prefix="edge-ssd-") as name:
        folder = Path(name)
        _save_job(state, folder)
        process = subprocess.run(
            [sys.executable, "-m", "converters.subprocess_worker", name],
            env=_environment(name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
            check=False,
        )
        result = folder / "result.tflite"
        if process.returncode != 0 or not result.is_file():
            raise _error(folder / "error.json", state.source, process)
        return replace(state, flatbuffer=result.read_bytes())


def main(folder: Path) -> int:
    """Convert the model in ``folder`` and return the exit status."""
    job = json.loads((folder / "job.json").read_text("utf-8"))
    try:
        state = apply_passes(_load_job(job, folder), NETWORK_PASSES)
        (folder / "result.tflite").write_bytes(state.flatbuffer)
    # TensorFlow raises exceptions of many types; the parent reports each in one line.
    except Exception as error:
        if not isinstance(error, EdgeSSDError):
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            error = ModelError(f"{job['source']}: cannot be converted to {job['config']['scheme']}: {reason[:300]}")
        report = {"kind": type(error).__name__, "message": str(error)}
        (folder / "error.json").write_text(json.dumps(report), "utf-8")
        return 1
    return 0


def _save_job(state: ConversionState, folder: Path) -> None:
    job = {
        "config": state.config.to_dict(),
        "network": state.model.network.to_dict(),
        "name": state.model.name,
        "source": os.fspath(state.source),
    }
    (folder / "job.json").write_text(json.dumps(job), "utf-8")
    np.savez(folder / "weights.npz", *state.model.get_weights())
    if state.calibration is not None:
        np.save(folder / "images.npy", state.calibration.images)


def _load_job(job: dict[str, Any], folder: Path) -> ConversionState:
    from edge_ssd.training.model.tiny_ssd import TinySSD

    model = TinySSD(Network.from_dict(job["network"]), name=job["name"])
    with np.load(folder / "weights.npz") as weights:
        model.set_weights(list(weights.values()))
    images = folder / "images.npy"
    calibration = Calibration(np.load(images), names=(), sha256="", seed=0) if images.is_file() else None
    return ConversionState(ConversionConfig.from_dict(job["config"]), model, Path(job["source"]), calibration)


def _environment(folder: str) -> dict[str, str]:
    # The packages may be a checkout that is used from any folder: the child must import the same ones.
    packages = os.fspath(Path(__file__).resolve().parents[1])
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([packages, inherited] if inherited else [packages]),
        "PYTHONHASHSEED": "0",
        # TensorFlow's temporary files are then removed even if the conversion is interrupted.
        "TMPDIR": folder,
        "KERAS_BACKEND": "tensorflow",
        # The result must not depend on the accelerator of this machine.
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _error(path: Path, source: Path, process: subprocess.CompletedProcess[str]) -> EdgeSSDError:
    """Return the error that the child reported, or a description of how it ended."""
    if path.is_file():
        report: dict[str, Any] = json.loads(path.read_text("utf-8"))
        kind = getattr(errors, str(report["kind"]), ModelError)
        return kind(report["message"]) if issubclass(kind, EdgeSSDError) else ModelError(report["message"])
    if process.returncode < 0:
        return ModelError(
            f"{source}: the conversion was killed by signal {-process.returncode}; signal 9 usually means out of "
            "memory: close other programs or calibrate on fewer images"
        )
    lines = [line for line in process.stdout.splitlines() if line.strip()] or ["no message"]
    return ModelError(f"{source}: the conversion failed: {lines[-1].strip()[:300]}")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
