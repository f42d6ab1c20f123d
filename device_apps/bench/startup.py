"""Startup time and peak memory of a fresh process that detects objects."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from edge_ssd.errors import EdgeSSDError
from edge_ssd.runtime.interleave import call_interleaved

__all__ = ["Startup", "measure_startups"]

# Prints the time of the first result, and the peak resident memory after 20 more. VmHWM, since the getrusage of a child
# process counts its parent's memory too.
_SCRIPT = """
import sys, time
import numpy as np
from edge_ssd import Detector
height, width, threads = map(int, sys.argv[2:5])
frame = np.zeros((height, width, 3), np.uint8)
with Detector(sys.argv[1], num_threads=threads, backend=sys.argv[5]) as detector:
    detector.detect(frame)
    first = time.time()
    for _ in range(20):
        detector.detect(frame)
peak = 0
try:
    with open("/proc/self/status") as file:
        peak = next((int(line.split()[1]) for line in file if line.startswith("VmHWM")), 0)
except OSError:
    pass
print(first, 1024 * peak)
"""


@dataclass(frozen=True)
class Startup:
    """Startup of a fresh process with a model.

    Attributes:
        seconds: time from the start of the process to its first result.
        peak_bytes: peak resident memory; None if the system does not report it.
    """

    model: Path
    seconds: float
    peak_bytes: int | None


def measure_startups(
    models: Sequence[Path], frame_size: tuple[int, int], threads: int, backend: str, rounds: int = 3
) -> list[Startup]:
    """Start a process for each model, ``rounds`` times in alternation, and return median time and maximum memory.

    An extra first round fills the disk's cache and is not counted. ``frame_size`` is (height, width) in pixels.
    """
    measure = partial(_measure_startup, frame_size=frame_size, threads=threads, backend=backend)
    samples = call_interleaved(measure, models, rounds + 1)
    return [
        Startup(model, median(seconds for seconds, _ in values), max(peak for _, peak in values) or None)
        for model, (_, *values) in zip(models, samples, strict=True)
    ]


def _measure_startup(model: Path, frame_size: tuple[int, int], threads: int, backend: str) -> tuple[float, int]:
    root = Path(__file__).resolve().parents[2]
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", _SCRIPT, str(model), *map(str, frame_size), str(threads), backend]
    start = time.time()
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if process.returncode != 0:
        reason = process.stderr.strip().splitlines()[-1:] or [f"status {process.returncode}"]
        raise EdgeSSDError(f"{model}: a fresh process failed: {reason[0]}")
    first, peak = process.stdout.split()[-2:]
    return float(first) - start, int(peak)
