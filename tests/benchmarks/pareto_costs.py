"""What a bundle costs: size, work, time, memory, instructions."""

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
from device_apps.bench.latency import Case, time_cases
from device_apps.bench.startup import measure_startups
from edge_ssd.console.progress import Progress
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.preprocess import pillow_resize

__all__ = ["FRAME", "THREADS", "Costs", "Instructions", "costs", "count_kept"]

FRAME = (480, 640)
THREADS = (1, 2)

Instructions = Mapping[str, Mapping[str, int]]  # by processor and stage


@dataclass(frozen=True)
class Costs:
    """Of one bundle.

    Attributes:
        milliseconds: median of one invocation of the network, by number of threads.
        ratios: the same against the first bundle's with as many threads, in the same run.
        peak_bytes: the most memory that a fresh process had that detects in frames of 640×480 with one thread.
        instructions: empty where they were not counted.
    """

    bytes: int
    parameters: int
    multiply_adds: int
    milliseconds: Mapping[int, float]
    ratios: Mapping[int, float]
    peak_bytes: int | None
    instructions: Instructions


def costs(bundles: Sequence[Path], arm: bool = False, detections: int = 200) -> list[Costs]:
    """Of each; their times are taken in one run, block by block in turn. ``arm`` also counts instructions."""
    counted = [count_kept(bundle) if arm else {} for bundle in bundles]
    starts = measure_startups(bundles, FRAME, 1, "auto")
    with ExitStack() as stack:
        cases = [
            Case(str(path), stack.enter_context(Detector(path, num_threads=number)))
            for path in bundles
            for number in THREADS
        ]
        image = pillow_resize(cases[0].detector.bundle.selftest.image, FRAME)
        with Progress("timing", "rounds") as progress:
            timings = time_cases(cases, image, detections, 10, progress)
    taken = [
        {number: timings[len(THREADS) * i + j].stages["invoke"].p50 for j, number in enumerate(THREADS)}
        for i in range(len(bundles))
    ]
    return [
        Costs(
            path.stat().st_size,
            _parameters(path.with_suffix(".keras")),
            read_graph(read_bundle(path).flatbuffer).multiply_adds,
            times,
            {number: times[number] / taken[0][number] for number in THREADS},
            start.peak_bytes,
            instructions,
        )
        for path, times, start, instructions in zip(bundles, taken, starts, counted, strict=True)
    ]


def count_kept(bundle: Path) -> Instructions:
    """Instructions on each processor, counted under emulation unless they are kept beside the bundle (docs/arm.md)."""
    from arm.fetch import CPUS
    from arm.instructions import count_instructions
    from arm.measure import prepare

    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    kept = bundle.with_name("instructions.json")
    if kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["model"] == digest:
            return dict(found["instructions"])
    prepare()
    instructions = {cpu: count_instructions(cpu, bundle).stages for cpu in CPUS}
    kept.write_text(json.dumps({"model": digest, "instructions": instructions}, indent=2) + "\n", encoding="utf-8")
    return instructions


def _parameters(model: Path) -> int:
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    return int(load_tiny_ssd(model).count_params())
