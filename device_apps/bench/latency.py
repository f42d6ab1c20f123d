"""Latency of detectors on a machine that also runs other programs.

Detectors alternate in short blocks, so that heat, clock changes and other programs affect all of them equally. The
first detection of a block is not counted, because the previous detector has evicted the caches.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from device_apps.loop import detect_frame
from device_apps.sources.frames import Frame
from device_apps.stats import Quantiles, quantiles
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interleave import call_interleaved

__all__ = ["STAGES", "Timing", "relative_drift", "time_detectors"]

_BLOCK_SIZE = 10
STAGES = ("preprocess", "invoke", "postprocess")


@dataclass(frozen=True)
class Timing:
    """Latency of a detector.

    Attributes:
        stages: median and p95 in ms of "preprocess", "invoke", "postprocess", and "detect", the whole call.
        ratio: median of "detect" divided by the same median of the first detector.
        drift: median of "detect" in the second half of the run divided by the median in the first half, minus 1.
    """

    detector: Detector
    stages: Mapping[str, Quantiles]
    ratio: float
    drift: float

    @property
    def model(self) -> Path:
        return self.detector.bundle.path


def time_detectors(
    detectors: Sequence[Detector],
    images: Sequence[Frame],
    frames: int,
    warm_up: int,
    progress: ProgressCallback = no_progress,
) -> list[Timing]:
    """Time ``frames`` detections in ``images``, in turn, by each detector, after ``warm_up`` untimed ones by each."""
    for detector in detectors:
        for _, image in zip(range(warm_up), itertools.cycle(images), strict=False):
            detect_frame(detector, image)
    turns = {id(detector): itertools.cycle(images) for detector in detectors}

    def measure(detector: Detector) -> dict[str, float]:
        image = next(turns[id(detector)])
        start = time.perf_counter()
        detect_frame(detector, image)
        total = time.perf_counter() - start
        return {**{stage: 1e3 * detector.timings[stage] for stage in STAGES}, "detect": 1e3 * total}

    samples = call_interleaved(measure, detectors, frames, block_size=_BLOCK_SIZE, discard=1, progress=progress)
    milliseconds = [{stage: [sample[stage] for sample in values] for stage in values[0]} for values in samples]
    reference = median(milliseconds[0]["detect"])
    return [
        Timing(
            detector,
            {stage: quantiles(values) for stage, values in stages.items()},
            median(stages["detect"]) / reference,
            relative_drift(stages["detect"]),
        )
        for detector, stages in zip(detectors, milliseconds, strict=True)
    ]


def relative_drift(values: Sequence[float]) -> float:
    """Return the median of the second half divided by that of the first, minus 1; 0 for fewer than two values."""
    half = len(values) // 2
    return median(values[half:]) / median(values[:half]) - 1 if half else 0.0
