"""Memory growth of the loop: python tests/benchmarks/soak.py [--seconds 1800] [--warm-up 300] [--json]

A process of its own runs the camera loop at full speed on the shipped clip, repeatedly, with every local output: each
frame annotated, a line of JSON per frame, events with snapshots, statistics; no video. Once a second it records its
resident memory, allocated Python blocks, threads and descriptors. After the warm-up a straight line is fitted to them.

Resolution: memory is measured in pages of 4 kB and fluctuates by about 100 kB in the allocator, so half an hour
resolves about 1 MB per hour. Blocks are exact once the free lists of Python and NumPy are filled, after a
thousand frames: then a leak of one object per frame is one block per frame (see --leak).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from endless import PassiveSink, Video

from device_apps.events.emitter import EventEmitter
from device_apps.events.jsonl import open_json_lines
from device_apps.events.snapshot_store import SnapshotStore
from device_apps.events.tracker import Tracker
from device_apps.loop import run_loop
from device_apps.machine import memory_bytes
from device_apps.results import FrameResult, Sink
from device_apps.sinks import JsonLinesSink, open_for_append
from device_apps.sources.capture import CaptureSource
from device_apps.stats import Stats, quantiles
from edge_ssd.drawing import draw_detections
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.detector import Detector

TARGET = 1.0  # MB per hour


class Sampler(PassiveSink):
    """Sink that annotates every frame and prints a sample of the process once a second."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._frames = self._samples = 0
        self._start = self._next = time.monotonic()

    def write(self, result: FrameResult) -> None:
        assert result.annotated.shape == result.frame.image.shape
        self._frames += 1
        if time.monotonic() < self._next:
            return
        self._next += 1.0
        self._samples += 1
        if self._samples % 10 == 0:  # Not always: NumPy caches small arrays by size.
            self._stats.snapshot()
        gc.collect()  # Unreferenced cycles are not a leak.
        sample = {
            "seconds": time.monotonic() - self._start,
            "frames": self._frames,
            "bytes": memory_bytes(),
            "blocks": sys.getallocatedblocks(),
            "threads": threading.active_count(),
            "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        }
        print(json.dumps(sample), flush=True)


class Leak(PassiveSink):
    """Sink that leaks one object per frame, to test that it is detected."""

    def __init__(self) -> None:
        self._leaked: list[object] = []

    def write(self, result: FrameResult) -> None:
        self._leaked.append(object())


def event_sinks(folder: str, stack: ExitStack) -> list[Sink]:
    """Return an emitter with a rotated file and snapshots, whose size limits are reached early."""
    publisher = open_json_lines(f"{folder}/events.jsonl", 100_000, 5)
    snapshots = SnapshotStore(Path(folder) / "snapshots", 500_000)
    emitter = EventEmitter([publisher], tracker=Tracker(0.1, 0.2), snapshots=snapshots, max_recent=16)
    return [stack.enter_context(emitter)]


def fill_label_cache() -> None:
    """Fill the cache of the 128 last labels, which would count as growth."""
    height, width = 480, 640
    boxes = np.array([[0, 100, 50, 150]], np.float32)
    for number in range(128):
        label = Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.int64), [f"label {number}"], (height, width))
        draw_detections(np.zeros((height, width, 3), np.uint8), label)


def child(seconds: float, frames: int | None, model: str, leak: bool) -> None:
    fill_label_cache()
    quantiles([0.0, 1.0])  # Imports modules that NumPy imports lazily.
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        detector = stack.enter_context(Detector(model))
        source = stack.enter_context(CaptureSource(Video, "clip"))
        stats = Stats(source)
        sinks: list[Sink] = [JsonLinesSink(stack.enter_context(open_for_append(Path(folder) / "seen.jsonl")))]
        sinks += event_sinks(folder, stack)
        sinks += [*([Leak()] if leak else []), Sampler(stats)]
        run_loop(source, detector, sinks, stats=stats, duration=seconds, max_frames=frames)


def slope(x: list[float], y: list[float]) -> float:
    """Return the slope of the least-squares line."""
    return float(np.polyfit(x, y, 1)[0])


def soak(args: argparse.Namespace) -> dict[str, float]:
    """Run a child process; return figures of the time after the warm-up."""
    limits = [] if args.frames is None else ["--frames", str(args.frames)]
    leak = ["--leak"] if args.leak else []
    command = [
        sys.executable,
        __file__,
        "--child",
        f"--seconds={args.seconds}",
        f"--model={args.model}",
        *limits,
        *leak,
    ]
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    measured = [row for row in rows if row["seconds"] >= args.warm_up and row["frames"] >= args.warm_up_frames]
    x = [row["seconds"] for row in measured]
    megabytes = [row["bytes"] / 1e6 for row in measured]
    third = max(1, len(measured) // 3)
    return {
        "seconds": x[-1] - x[0],
        "frames": measured[-1]["frames"] - measured[0]["frames"],
        "mb": float(np.median(megabytes)),
        "mb_per_hour": 3600 * slope(x, megabytes),
        "mb_grown": float(np.median(megabytes[-third:]) - np.median(megabytes[:third])),
        "mb_range": max(megabytes) - min(megabytes),
        "blocks_per_frame": slope([row["frames"] for row in measured], [row["blocks"] for row in measured]),
        # Medians of a third, because a file may be open at one sample.
        "threads_first": float(np.median([row["threads"] for row in measured[:third]])),
        "threads_last": float(np.median([row["threads"] for row in measured[-third:]])),
        "descriptors_first": float(np.median([row["descriptors"] for row in measured[:third]])),
        "descriptors_last": float(np.median([row["descriptors"] for row in measured[-third:]])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--warm-up", type=float, default=300, metavar="SECONDS")
    parser.add_argument("--frames", type=int, help="maximum number of frames")
    parser.add_argument("--warm-up-frames", type=int, default=0)
    parser.add_argument("--model", default="banana", help="path or name of a shipped model")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--leak", action="store_true", help="leak one object per frame, to test that it is detected")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.seconds, args.frames, args.model, args.leak)
        return
    figures = soak(args)
    if args.json:
        print(json.dumps(figures))
        return
    print(
        f"{figures['frames']} frames in {figures['seconds']:.0f} s after the warm-up, "
        f"{figures['frames'] / figures['seconds']:.0f} per second"
    )
    print(
        f"memory {figures['mb']:.1f} MB, {figures['mb_per_hour']:+.2f} MB per hour (target {TARGET}); "
        f"last third minus first {figures['mb_grown']:+.2f} MB, range {figures['mb_range']:.2f} MB"
    )
    print(f"Python blocks {figures['blocks_per_frame']:+.4f} per frame")
    print(
        f"threads {figures['threads_first']:.0f} → {figures['threads_last']:.0f}, "
        f"descriptors {figures['descriptors_first']:.0f} → {figures['descriptors_last']:.0f}"
    )


if __name__ == "__main__":
    main()
