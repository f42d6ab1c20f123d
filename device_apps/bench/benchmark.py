"""Benchmark of models: latency with each number of threads, startup time and memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from device_apps.bench.advice import time_advice
from device_apps.bench.frames import BenchmarkFrames
from device_apps.bench.latency import STAGES, Timing, time_detectors
from device_apps.bench.startup import Startup, measure_startups
from device_apps.machine import cores, describe_machine, governor, throttled
from device_apps.stats import Quantiles
from edge_ssd.console.activity import Activity
from edge_ssd.console.counts import count
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.errors import SettingError
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interpreter import Backend
from edge_ssd.runtime.resize import Resize, opencv_resize, uses_opencv
from edge_ssd.runtime.tiles import Tiles

__all__ = ["Benchmark", "display_names", "reliability_warnings", "run_benchmark", "stored_precisions"]

_log = logging.getLogger(__name__)

_MAX_DRIFT = 0.1


@dataclass(frozen=True)
class Benchmark:
    """Result of a benchmark: one timing for each model and number of threads, one startup for each model.

    Attributes:
        machine: processor, system and Python version.
        frame_size: (height, width) of the first image.
        detections: number of timed detections for each timing.
        warnings: why the times may be unreliable.
        capture: ms of reading and decoding a frame of a source; None if none was read.
        opencv: whether OpenCV resized.
    """

    machine: str
    frame_size: tuple[int, int]
    detections: int
    timings: Sequence[Timing]
    startups: Sequence[Startup]
    warnings: Sequence[str]
    capture: Quantiles | None = None
    opencv: bool = False

    @property
    def advice(self) -> list[str]:
        """A line for each model with the shares of its stages, and what reduces the largest."""
        names = display_names(timing.model for timing in self.timings)
        lines: dict[Path, str] = {}
        for timing in self.timings:
            milliseconds = {stage: timing.stages[stage].p50 for stage in STAGES}
            if self.capture is not None:
                milliseconds["capture"] = self.capture.p50
            threads = timing.detector.num_threads
            text = time_advice(milliseconds, timing.detector.network.input, threads, opencv=self.opencv)
            lines.setdefault(timing.model, f"{names[timing.model]}: {text}")
        return list(lines.values())


def run_benchmark(
    bundles: Sequence[Bundle],
    source: BenchmarkFrames,
    *,
    threads: Sequence[int],
    backend: Backend,
    detections: int,
    warm_up: int,
    resize: Resize | None = None,
    tiles: Tiles | None = None,
    progress: ProgressCallback = no_progress,
) -> Benchmark:
    """Time detection in ``source`` with each bundle and number of threads; startups use the first number of threads.

    Each pair is timed ``detections`` times, after ``warm_up`` untimed ones; with ``tiles``, without and with them.
    ``progress`` gets (finished, all) rounds.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # Before this benchmark adds to it.
    with ExitStack() as stack:
        detectors = [
            stack.enter_context(Detector(bundle, num_threads=number, backend=backend, resize=resize, tiles=division))
            for bundle in bundles
            for number in threads
            for division in ([None] if tiles is None else [None, tiles])
        ]
        frame_size = source.frames[0].size
        with Activity("timing the start of a process"):
            startups = measure_startups([bundle.path for bundle in bundles], frame_size, threads[0], backend)
        timings = time_detectors(detectors, source.frames, detections, warm_up, progress)
    warnings = reliability_warnings(timings, load=load, throttling=throttled(), cpu_governor=governor())
    opencv = resize is opencv_resize or (resize is None and uses_opencv())
    return Benchmark(describe_machine(), frame_size, detections, timings, startups, warnings, source.capture, opencv)


def reliability_warnings(
    timings: Sequence[Timing], *, load: float | None, throttling: str | None, cpu_governor: str | None
) -> list[str]:
    """Return why the timings may be unreliable, one text for each reason.

    ``load`` is the 1-minute load average before timing; the others come from :mod:`device_apps.machine`. None: unknown.
    """
    lines = []
    if load is not None and load > 0.3 * cores():
        lines.append(
            f"the machine was busy (load {load:.1f} on {count(cores(), 'core')}): the times are too long; stop other "
            "programs"
        )
    worst = max(timings, key=lambda timing: abs(timing.drift))
    if abs(worst.drift) > _MAX_DRIFT:
        name = display_names(timing.model for timing in timings)[worst.model]
        lines.append(f"the speed changed by {worst.drift:+.0%} during the run ({name}): heat, clock or other programs")
    if throttling:
        lines.append(f"the board was throttled: {throttling}; check its power supply and cooling")
    if cpu_governor not in (None, "performance"):
        lines.append(f"the CPU governor is {cpu_governor!r}: short runs may be slower than possible")
    return lines


def display_names(models: Iterable[Path]) -> dict[Path, str]:
    """Return the file name of each model, or its path if different models have the same name."""
    paths = set(models)
    names = {path.name for path in paths}
    return {path: path.name if len(names) == len(paths) else str(path) for path in paths}


def stored_precisions(bundles: Sequence[Bundle]) -> dict[Path, float]:
    """Return the average precision (0–1) stored in each bundle, by model path; raise SettingError if no bundle has one.

    Bundles without one, and precisions that were measured on different images, are logged.
    """
    stored: dict[Path, tuple[float, str]] = {}
    missing = []
    names = display_names(bundle.path for bundle in bundles)
    for bundle in bundles:
        try:
            accuracy = bundle.metadata["accuracy"]
            stored[bundle.path] = float(accuracy["quantized"]["ap"]), str(accuracy["data"])
        except (KeyError, TypeError, ValueError):
            missing.append(names[bundle.path])
    if not stored:
        raise SettingError(
            f"--plot: {', '.join(missing)}: no average precision was measured; convert without --no-accuracy"
        )
    for name in missing:
        _log.warning("%s: not in the plot, it has no average precision; convert it without --no-accuracy", name)
    if len({data for _, data in stored.values()}) > 1:
        names = display_names(stored)
        datasets = ", ".join(f"{names[path]} on {data}" for path, (_, data) in stored.items())
        _log.warning("average precisions of different images do not compare: %s", datasets)
    return {path: precision for path, (precision, _) in stored.items()}
