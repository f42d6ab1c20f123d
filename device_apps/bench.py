"""Benchmark of detectors on a machine that also runs other programs.

Cases alternate in short blocks, so that heat, clock changes and other programs affect all of them equally. The first
detection of a block is not counted, because the previous case has evicted the caches.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from device_apps.machine import cores, governor
from device_apps.machine_health import throttled
from device_apps.sources.frames import Image
from device_apps.stats import Quantiles, quantiles
from edge_ssd.errors import EdgeSSDError
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interleave import call_interleaved

__all__ = ["Case", "FreshStart", "Timing", "fresh_starts", "reliability_warnings", "resize_image", "time_cases"]

_BLOCK = 10
_STAGES = ("preprocess", "invoke", "postprocess")
_DRIFT = 0.1

# Prints when the first result was there, and the most memory that was resident after some more. VmHWM, since the
# getrusage of a child process counts its parent's memory too.
_FRESH = """
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
class Case:
    """A detector to time; ``name`` is its model's name in the table."""

    name: str
    detector: Detector


@dataclass(frozen=True)
class Timing:
    """Latency of a case in milliseconds.

    Attributes:
        stages: "preprocess", "invoke", "postprocess", and "detect" for the whole call.
        ratio: median of "detect" relative to the first case.
        drift: relative difference between the medians of the second and the first half.
    """

    case: Case
    stages: Mapping[str, Quantiles]
    ratio: float
    drift: float


@dataclass(frozen=True)
class FreshStart:
    """Start of a fresh process: seconds to its first result, and its peak resident memory in bytes."""

    seconds: float
    peak_bytes: int | None


def time_cases(
    cases: Sequence[Case],
    image: Image,
    frames: int,
    warm_up: int,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> list[Timing]:
    """Time ``frames`` detections of each case in one image, after ``warm_up`` untimed detections."""
    for case in cases:
        for _ in range(warm_up):
            case.detector.detect(image)

    def milliseconds(case: Case) -> dict[str, float]:
        start = time.perf_counter()
        case.detector.detect(image)
        total = time.perf_counter() - start
        return {**{stage: 1e3 * case.detector.timings[stage] for stage in _STAGES}, "detect": 1e3 * total}

    samples = call_interleaved(milliseconds, cases, frames, block_size=_BLOCK, discard=1, progress=progress)
    taken = [{stage: [sample[stage] for sample in values] for stage in values[0]} for values in samples]
    first = median(taken[0]["detect"])
    return [
        Timing(
            case,
            {stage: quantiles(values) for stage, values in times.items()},
            median(times["detect"]) / first,
            _drift(times["detect"]),
        )
        for case, times in zip(cases, taken, strict=True)
    ]


def fresh_starts(
    models: Sequence[Path], size: tuple[int, int], threads: int, backend: str, rounds: int = 3
) -> list[FreshStart]:
    """Start a process for each model, ``rounds`` times in alternation, and return the medians.

    The first round fills the disk's cache and is not counted. ``size`` is the (height, width) of the frames.
    """
    taken: list[list[tuple[float, int]]] = [[] for _ in models]
    for number in range(rounds + 1):
        for model, values in zip(models, taken, strict=True):
            value = _fresh_start(model, size, threads, backend)
            if number:
                values.append(value)
    return [
        FreshStart(median(seconds for seconds, _ in values), max(peak for _, peak in values) or None)
        for values in taken
    ]


def resize_image(image: Image, size: tuple[int, int]) -> Image:
    """Return an image resized to (height, width), by default larger than the network's input as a camera frame is."""
    from PIL import Image as PillowImage

    if image.shape[:2] == size:
        return image
    resized = PillowImage.fromarray(image).resize((size[1], size[0]), PillowImage.Resampling.BILINEAR)
    return np.asarray(resized, np.uint8)


def reliability_warnings(timings: Sequence[Timing], load: float | None) -> list[str]:
    """Return why the timings may be unreliable, one line each; ``load`` is the load average before the measurement."""
    lines = []
    if load is not None and load > 0.3 * cores():
        lines.append(
            f"the machine was busy (load {load:.1f} on {cores()} cores): the times are too long; stop other programs"
        )
    worst = max(timings, key=lambda timing: abs(timing.drift))
    if abs(worst.drift) > _DRIFT:
        lines.append(
            f"the speed changed by {worst.drift:+.0%} during the run ({worst.case.name}): heat, clock or other programs"
        )
    now = throttled()
    if now:
        lines.append(f"the board was throttled: {now}; check its power supply and cooling")
    if (chosen := governor()) not in (None, "performance"):
        lines.append(f"the CPU governor is {chosen!r}: short runs may be slower than possible")
    return lines


def _fresh_start(model: Path, size: tuple[int, int], threads: int, backend: str) -> tuple[float, int]:
    root = Path(__file__).resolve().parent.parent
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", _FRESH, str(model), *map(str, size), str(threads), backend]
    start = time.time()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise EdgeSSDError(f"{model}: a fresh process failed: {reason[0]}")
    first, peak = done.stdout.split()[-2:]
    return float(first) - start, int(peak)


def _drift(values: Sequence[float]) -> float:
    half = len(values) // 2
    return median(values[half:]) / median(values[:half]) - 1 if half else 0.0
