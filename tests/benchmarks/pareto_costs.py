"""Costs of a bundle: size, multiply-adds, time, memory, instructions."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from converters.tflite.operators import read_graph
from device_apps.bench.latency import time_detectors
from device_apps.bench.startup import measure_startups
from edge_ssd.console.progress import Progress
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.resize import numpy_resize

__all__ = ["FRAME", "THREADS", "Costs", "Instructions", "cached_instructions", "measure_costs"]

FRAME = (480, 640)
THREADS = (1, 2)

Instructions = Mapping[str, Mapping[str, int]]  # by CPU and stage


@dataclass(frozen=True)
class Costs:
    """Costs of one bundle.

    Attributes:
        milliseconds: median time of one invocation of the network, by number of threads.
        ratios: ``milliseconds`` relative to those of the first bundle, measured in the same run.
        peak_bytes: peak memory of a fresh process that detects in frames of 640×480 with one thread.
        instructions: empty if they were not counted.
    """

    bytes: int
    parameters: int
    multiply_adds: int
    milliseconds: Mapping[int, float]
    ratios: Mapping[int, float]
    peak_bytes: int | None
    instructions: Instructions


def measure_costs(bundles: Sequence[Path], arm: bool = False, detections: int = 200) -> list[Costs]:
    """Measure each bundle, with interleaved times; ``arm`` also counts instructions."""
    instruction_counts = [cached_instructions(bundle) if arm else {} for bundle in bundles]
    startups = measure_startups(bundles, FRAME, 1, "auto")
    with ExitStack() as stack:
        detectors = [stack.enter_context(Detector(path, num_threads=number)) for path in bundles for number in THREADS]
        image = numpy_resize(detectors[0].bundle.selftest.image, FRAME)
        with Progress("timing", "rounds") as progress:
            timings = time_detectors(detectors, image, detections, 10, progress)
    times_by_threads = [
        {number: timings[len(THREADS) * i + j].stages["invoke"].p50 for j, number in enumerate(THREADS)}
        for i in range(len(bundles))
    ]
    return [
        Costs(
            path.stat().st_size,
            _num_parameters(path.with_suffix(".keras")),
            read_graph(read_bundle(path).flatbuffer).multiply_adds,
            times,
            {number: times[number] / times_by_threads[0][number] for number in THREADS},
            startup.peak_bytes,
            instructions,
        )
        for path, times, startup, instructions in zip(
            bundles, times_by_threads, startups, instruction_counts, strict=True
        )
    ]


def cached_instructions(bundle: Path) -> Instructions:
    """Return instructions by CPU and stage, cached beside the bundle, or counted under emulation (docs/arm.md)."""
    from arm.fetch import CPUS
    from arm.instructions import count_instructions
    from arm.measure import prepare

    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    cache_file = bundle.with_name("instructions.json")
    if cache_file.is_file():
        cached = json.loads(cache_file.read_text(encoding="utf-8"))
        if cached["model"] == digest:
            return dict(cached["instructions"])
    prepare()
    instructions = {cpu: count_instructions(cpu, bundle).stages for cpu in CPUS}
    cache_file.write_text(
        json.dumps({"model": digest, "instructions": instructions}, indent=2) + "\n", encoding="utf-8"
    )
    return instructions


def _num_parameters(model: Path) -> int:
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    return int(load_tiny_ssd(model).count_params())
