"""Checks of installed software: NumPy with the TFLite interpreter, the model, OpenCV and the extras."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata

from device_apps.doctor.finding import Finding, failed, ok, warning
from device_apps.doctor.probe import probe
from device_apps.numpy_conflict import is_numpy_conflict, numpy_cause, numpy_remedy

__all__ = ["check_detector", "check_extras", "check_opencv"]

# Builds the interpreter and runs the self-test of the model: a package that can be imported may still not work.
_DETECTOR = """
import json, sys
import numpy
from edge_ssd.errors import EdgeSSDError
report = {"numpy": numpy.__version__}
try:
    from edge_ssd.runtime.detector import Detector
    from edge_ssd.runtime.shipped_models import default_model
    with Detector(sys.argv[1] if len(sys.argv) > 1 else default_model()) as detector:
        result = detector.selftest()
        report |= {"backend": detector.backend, "threads": detector.num_threads, "model": str(detector.bundle.path)}
        report |= {"passed": result.passed, "found": result.found, "problem": result.problem}
except EdgeSSDError as error:
    report |= {"error": str(error), "kind": type(error).__name__}
print(json.dumps(report))
"""

_OPENCV = """
import json, re
import cv2
facts = dict(re.findall(r"^\\s*(GUI|FFMPEG|v4l/v4l2):\\s+(\\S.*?)\\s*$", cv2.getBuildInformation(), re.M))
print(json.dumps({"version": cv2.__version__, **facts}))
"""

# By option: the extra of pyproject.toml, and the modules that it installs.
_EXTRAS = {
    "--web": ("web", ("starlette", "uvicorn")),
    "--mqtt": ("mqtt", ("paho.mqtt",)),
    "--gpio": ("gpio", ("gpiozero",)),
}


def check_detector(model: str | None = None) -> Iterable[Finding]:
    """Check NumPy and the TFLite interpreter by the self-test of a model (None: the default model)."""
    report, problem = probe(_DETECTOR, *([] if model is None else [model]))
    if report is None:
        yield _diagnose(problem)
        return
    numpy = f"NumPy {report['numpy']}"
    if "error" in report:
        if report["kind"] == "BackendError":
            # The message ends with the remedy, after the reasons in parentheses.
            reasons, _, remedy = report["error"].rpartition("). ")
            yield failed("interpreter", f"{numpy}: {reasons})", remedy)
        else:
            yield failed("model", report["error"], "copy the file again, or create it again with: edge-ssd convert")
        return
    version = _version(report["backend"])
    # Not by edge_ssd.console.counts, since the doctor also runs without NumPy.
    threads = "1 thread" if report["threads"] == 1 else f"{report['threads']} threads"
    text = f"{report['backend']} {version} with {numpy}, {threads}"
    if report["backend"] == "tflite-runtime" and sys.maxsize > 2**32:
        yield warning("interpreter", f"{text}: works, but is slow with int8", "pip install ai-edge-litert")
    else:
        yield ok("interpreter", text)
    if report["passed"]:
        objects = "1 object" if report["found"] == 1 else f"{report['found']} objects"
        yield ok("model", f"{report['model']}: self-test passed, {objects} found again")
    else:
        yield failed(
            "model",
            f"{report['model']}: self-test failed: {report['problem']}",
            "try the other interpreter (--backend), and report it; its detections are wrong on this machine",
        )


def check_opencv() -> Iterable[Finding]:
    """Check whether OpenCV can open cameras and videos and show windows."""
    report, problem = probe(_OPENCV)
    installed = [name for name in ("opencv-python", "opencv-python-headless") if _version(name)]
    if report is None:
        if "No module named 'cv2'" in problem:
            yield warning("OpenCV", "not installed: no webcams, streams, videos", 'pip install "edge-ssd[camera]"')
        elif is_numpy_conflict(problem):
            yield failed("OpenCV", f"{numpy_cause('OpenCV')}: {problem}", numpy_remedy())
        elif ".so" in problem:
            yield failed("OpenCV", f"does not load: {problem}", "sudo apt install libgl1 libglib2.0-0")
        else:
            remedy = 'pip install --force-reinstall "edge-ssd[camera]"'
            yield failed("OpenCV", f"does not load: {problem}", remedy)
        return
    windows = report.get("GUI", "NONE").upper() != "NONE"
    text = f"{report['version']}, {'with windows' if windows else 'headless: no --show'}"
    missing = [name for name in ("FFMPEG", "v4l/v4l2") if not report.get(name, "YES").startswith("YES")]
    if len(installed) > 1:
        remedy = "pip uninstall opencv-python opencv-python-headless, then install one of them"
        yield warning(
            "OpenCV", f"{text}; {' and '.join(installed)} are both installed and overwrite each other", remedy
        )
    elif missing:
        yield warning(
            "OpenCV",
            f"{text}; built without {' and '.join(missing)}: some sources will not open",
            "pip install --force-reinstall opencv-python",
        )
    else:
        yield ok("OpenCV", text)


def check_extras() -> Iterable[Finding]:
    """Check the packages that optional features need; a missing one is not a failure."""
    for option, (extra, modules) in _EXTRAS.items():
        missing = [name for name in modules if not _installed(name)]
        version = _version("paho-mqtt") if option == "--mqtt" else ""
        if version.startswith("1."):
            yield warning(option, f"paho-mqtt {version} is too old", 'pip install "paho-mqtt>=2.1"')
            continue
        if missing:
            yield ok(
                option, f'{", ".join(missing)} not installed; only {option} needs it: pip install "edge-ssd[{extra}]"'
            )
        else:
            yield ok(option, "can be used")
    if os.environ.get("PYTHONPATH"):
        yield warning(
            "PYTHONPATH",
            f"is set to {os.environ['PYTHONPATH']!r}, which takes precedence over installed packages",
            "unset PYTHONPATH",
        )


def _diagnose(problem: str) -> Finding:
    """Return the finding for a probe that crashed, or failed before it reached the interpreter."""
    if "No module named 'numpy'" in problem:
        return failed("interpreter", "NumPy is not installed", "pip install numpy")
    if "SIGILL" in problem:
        remedy = "this package was built for a newer processor: use that of the system (sudo apt install python3-numpy)"
        return failed("interpreter", problem, remedy)
    if "numpy" in problem.lower():
        return failed("interpreter", f"NumPy does not load: {problem}", "pip install --force-reinstall numpy")
    remedy = f'pip install --force-reinstall "edge-ssd[device]" (Python {platform.python_version()})'
    return failed("interpreter", problem, remedy)


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # The parent of a dotted name.
        return False


def _version(distribution: str) -> str:
    """Return the version of a distribution, "" if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
