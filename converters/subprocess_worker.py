"""Run the passes of a conversion in a child process: ``python -m converters.subprocess_worker FOLDER``.

In the caller's process a second int8 conversion would give other bytes than the first, and TensorFlow writes to the
terminal whatever its log level is. The child reads ``job.pickle`` in a temporary folder and writes ``result.pickle``,
the TFLite model or an exception.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

from converters.passes import ConversionState, apply_passes, select_passes
from edge_ssd.console.activity import Activity
from edge_ssd.errors import EdgeSSDError, ModelError

__all__ = ["apply_in_subprocess", "main"]

_log = logging.getLogger(__name__)

# Written by the child: the title of the pass that runs.
_STEP = "step.txt"
_POLL_SECONDS = 0.5
_SCHEME_NAMES = {"none": "float"}


def apply_in_subprocess(state: ConversionState, source: Path) -> bytes:
    """Run :func:`converters.passes.apply_passes` in a child process and return its result, the TFLite model.

    The same input gives the same bytes. ``source`` is the file of the model, for error messages.

    Raises:
        ModelError: the model cannot be converted, with the reason in one line.
    """
    names = (each.apply.__name__ for each in select_passes(state.config.scheme))
    _log.debug("passes in a child process: %s", ", ".join(names))
    model, scheme = state.model, state.config.scheme
    job = (source, state.config, state.images, model.network, model.name, model.get_weights())
    with tempfile.TemporaryDirectory(prefix="edge-ssd-") as folder:
        Path(folder, "job.pickle").write_bytes(pickle.dumps(job))
        status, output = _run_worker(Path(folder), f"converting to {_SCHEME_NAMES.get(scheme, scheme)}")
        if status != 0:
            raise ModelError(f"{source}: {_failure(status, output)}")
        result: bytes | EdgeSSDError = pickle.loads(Path(folder, "result.pickle").read_bytes())
    if isinstance(result, EdgeSSDError):
        raise result
    return result


def _run_worker(folder: Path, label: str) -> tuple[int, str]:
    """Run the child process and show what it does; return its exit status and its output."""
    with (
        Activity(label) as activity,
        subprocess.Popen(
            [sys.executable, "-m", "converters.subprocess_worker", folder],
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
        ) as process,
    ):
        activity.step = "starting TensorFlow"
        try:
            while True:
                try:
                    output, _ = process.communicate(timeout=_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    with contextlib.suppress(OSError):
                        activity.step = (folder / _STEP).read_text(encoding="utf-8")
                else:
                    return process.returncode, output
        except BaseException:
            process.kill()
            raise


def main(folder: Path) -> None:
    """Convert the model in ``job.pickle`` of ``folder`` and write the result or exception to ``result.pickle``."""
    from edge_ssd.training.model.tiny_ssd import TinySSD

    source, config, images, network, name, weights = pickle.loads((folder / "job.pickle").read_bytes())
    result: bytes | EdgeSSDError
    try:
        model = TinySSD(network, name=name)
        model.set_weights(weights)
        step = folder / _STEP
        state = ConversionState(config, model, images)
        result = apply_passes(state, lambda text: step.write_text(text, encoding="utf-8"))
    except EdgeSSDError as error:
        result = error
    # TensorFlow raises exceptions of many types.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        result = ModelError(f"{source}: cannot be converted to {config.scheme}: {reason[:300]}")
    (folder / "result.pickle").write_bytes(pickle.dumps(result))


def _environment(folder: Path) -> dict[str, str]:
    # The packages may be a checkout that is used from any folder: the child must import the same ones.
    packages = os.fspath(Path(__file__).resolve().parents[1])
    inherited = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([packages, inherited] if inherited else [packages]),
        "PYTHONHASHSEED": "0",
        # TensorFlow's temporary files are then removed even if the conversion is interrupted.
        "TMPDIR": str(folder),
        "KERAS_BACKEND": "tensorflow",
        # The result must not depend on the accelerator of this machine.
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _failure(status: int, output: str) -> str:
    """Return why the child ended without a result."""
    if status < 0:
        return (
            f"the conversion was killed by signal {-status}; signal 9 usually means out of memory: close "
            "other programs or calibrate on fewer images"
        )
    lines = [line for line in output.splitlines() if line.strip()] or ["no message"]
    return f"the conversion failed: {lines[-1].strip()[:300]}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
