"""Benchmark of models: latency with each number of threads, startup time and memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from device_apps.bench.latency import Timing, time_detectors
from device_apps.bench.startup import Startup, measure_startups
from device_apps.machine import cores, describe_machine, governor, throttled
from device_apps.sources.frames import Image
from edge_ssd.errors import SettingError
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interpreter import Backend

__all__ = ["Benchmark", "display_names", "reliability_warnings", "run_benchmark", "stored_precisions"]

_log = logging.getLogger(__name__)

_MAX_DRIFT = 0.1


@dataclass(frozen=True)
class Benchmark:
    """Result of a benchmark.

    Attributes:
        machine: processor, system and Python version.
        frame_size: (height, width) of the image.
        detections: number of timed detections for each timing.
        timings: one for each model and number of threads.
        startups: one for each model.
        warnings: why the times may be unreliable.
    """

    machine: str
    frame_size: tuple[int, int]
    detections: int
    timings: Sequence[Timing]
    startups: Sequence[Startup]
    warnings: Sequence[str]


def run_benchmark(
    bundles: Sequence[Bundle],
    image: Image,
    *,
    threads: Sequence[int],
    backend: Backend,
    detections: int,
    warm_up: int,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Benchmark:
    """Time each bundle with each number of threads in one image; startups use the first number of threads.

    ``detections`` of each are timed, after ``warm_up`` untimed ones. ``progress`` is called with (finished rounds, all
    rounds).
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # Before this benchmark adds to it.
    with ExitStack() as stack:
        detectors = [
            stack.enter_context(Detector(bundle, num_threads=number, backend=backend))
            for bundle in bundles
            for number in threads
        ]
        frame_size = (image.shape[0], image.shape[1])
        startups = measure_startups([bundle.path for bundle in bundles], frame_size, threads[0], backend)
        timings = time_detectors(detectors, image, detections, warm_up, progress)
    warnings = reliability_warnings(timings, load=load, throttling=throttled(), cpu_governor=governor())
    return Benchmark(describe_machine(), frame_size, detections, timings, startups, warnings)


def reliability_warnings(
    timings: Sequence[Timing], *, load: float | None, throttling: str | None, cpu_governor: str | None
) -> list[str]:
    """Return why at least one timing may be unreliable, one line each.

    ``load`` is the load average before the measurement. The state of the machine is None where it is unknown.
    """
    lines = []
    if load is not None and load > 0.3 * cores():
        lines.append(
            f"the machine was busy (load {load:.1f} on {cores()} cores): the times are too long; stop other programs"
        )
    names = display_names([timing.detector.bundle.path for timing in timings])
    drift, name = max(
        ((timing.drift, name) for timing, name in zip(timings, names, strict=True)), key=lambda x: abs(x[0])
    )
    if abs(drift) > _MAX_DRIFT:
        lines.append(f"the speed changed by {drift:+.0%} during the run ({name}): heat, clock or other programs")
    if throttling:
        lines.append(f"the board was throttled: {throttling}; check its power supply and cooling")
    if cpu_governor not in (None, "performance"):
        lines.append(f"the CPU governor is {cpu_governor!r}: short runs may be slower than possible")
    return lines


def display_names(models: Sequence[Path]) -> list[str]:
    """Return the file names of models, or their paths if different models have the same name."""
    unique = {path.name for path in models}
    return [path.name if len(unique) == len(set(models)) else str(path) for path in models]


def stored_precisions(bundles: Sequence[Bundle]) -> dict[Path, float]:
    """Return the average precision stored in each bundle, by path; warn about missing and incomparable ones.

    Raises:
        SettingError: no bundle has one.
    """
    stored: dict[Path, tuple[float, str]] = {}
    missing = []
    for bundle, name in zip(bundles, display_names([bundle.path for bundle in bundles]), strict=True):
        try:
            accuracy = bundle.metadata["accuracy"]
            stored[bundle.path] = float(accuracy["quantized"]["ap"]), str(accuracy["data"])
        except (KeyError, TypeError, ValueError):
            missing.append(name)
    if not stored:
        raise SettingError(
            f"--plot: {', '.join(missing)}: no average precision was measured; convert without --no-accuracy"
        )
    for name in missing:
        _log.warning("%s: not in the plot, it has no average precision; convert it without --no-accuracy", name)
    if len({data for _, data in stored.values()}) > 1:
        names = zip(display_names(list(stored)), stored.values(), strict=True)
        datasets = ", ".join(f"{name} on {data}" for name, (_, data) in names)
        _log.warning("average precisions of different images do not compare: %s", datasets)
    return {path: precision for path, (precision, _) in stored.items()}
