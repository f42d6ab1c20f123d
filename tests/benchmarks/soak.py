"""Does the loop grow? python tests/benchmarks/soak.py [--seconds 1800] [--warm-up 300] [--json]

A process of its own runs the camera loop at full speed on the shipped clip, over and over, with every local output on:
the overlay drawn for each frame, a line of JSON a frame, events with their pictures, the numbers asked for; no video.
Once a second it notes its resident memory, its allocated Python blocks, threads and descriptors. After the
warm-up a straight line is fitted to them.

What this can see: memory in pages of 4 kB, on top of the allocator's own coming and going of some 100 kB, so half an
hour resolves about 1 MB an hour. Blocks are exact, once Python's and NumPy's own stores of freed ones are filled, which
takes a thousand frames: after that, one object left behind each frame is one block a frame (see --leak).
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
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from endless import Video

import device_apps.events.emitter
from device_apps.events.options import open_events
from device_apps.health import memory_bytes
from device_apps.loop import run_loop
from device_apps.results import FrameResult, Sink
from device_apps.sinks import JsonLinesSink, open_for_append
from device_apps.sources.capture import CaptureSource
from device_apps.sources.frames import Source
from device_apps.stats import Stats, quantiles
from edge_ssd.cli import command_parser
from edge_ssd.drawing import draw_detections
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.models import default_model

TARGET = 1.0  # MB an hour


class Sampler:
    """A sink that looks at the overlay, and writes down once a second how the process is."""

    finished = False

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
        if self._samples % 10 == 0:  # Not each time: NumPy keeps small arrays of each size for the next of that size.
            self._stats.snapshot()
        gc.collect()  # Rings of objects that nobody holds are no leak.
        sample = {
            "seconds": time.monotonic() - self._start,
            "frames": self._frames,
            "bytes": memory_bytes(),
            "blocks": sys.getallocatedblocks(),
            "threads": threading.active_count(),
            "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        }
        print(json.dumps(sample), flush=True)

    def idle(self) -> None:
        pass


class Leak:
    """A sink that keeps one object a frame, to see that it would be noticed."""

    finished = False

    def __init__(self) -> None:
        self._kept: list[object] = []

    def write(self, result: FrameResult) -> None:
        self._kept.append(object())

    def idle(self) -> None:
        pass


def event_sinks(folder: str, source: Source, stack: ExitStack, labels: Sequence[str]) -> list[Sink]:
    """Events to a rotated file, each with a picture, under a quota and in a memory that are soon full."""
    device_apps.events.emitter._REMEMBERED = 16
    options = [f"--events={folder}/events.jsonl", "--events-max-mb=0.1", "--enter-after=0.1", "--leave-after=0.2"]
    options += [f"--event-snapshots={folder}/pictures", "--event-snapshots-max-mb=0.5"]
    args = command_parser("camera").parse_args(options)
    events = open_events(args, source, stack, lambda line: None, labels)
    assert events is not None
    return [events]


def fill_label_cache() -> None:
    """The overlay keeps the last 128 labels: full from the start, that is no growth."""
    height, width = 480, 640
    boxes = np.array([[0, 100, 50, 150]], np.float32)
    for number in range(128):
        label = Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.int64), [f"label {number}"], (height, width))
        draw_detections(np.zeros((height, width, 3), np.uint8), label)


def child(seconds: float, frames: int | None, leak: bool) -> None:
    fill_label_cache()
    quantiles([0.0, 1.0])  # Loads what NumPy loads only then.
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        detector = stack.enter_context(Detector(default_model()))
        source = stack.enter_context(CaptureSource(Video, "clip"))
        stats = Stats(source)
        sinks: list[Sink] = [JsonLinesSink(stack.enter_context(open_for_append(Path(folder) / "seen.jsonl")))]
        sinks += event_sinks(folder, source, stack, detector.labels)
        sinks += [*([Leak()] if leak else []), Sampler(stats)]
        run_loop(source, detector, sinks, stats=stats, duration=seconds, max_frames=frames)


def slope(x: list[float], y: list[float]) -> float:
    """Of the straight line with the least squares."""
    return float(np.polyfit(x, y, 1)[0])


def soak(args: argparse.Namespace) -> dict[str, float]:
    """Run a child; figures over the time after the warm-up."""
    limits = [] if args.frames is None else ["--frames", str(args.frames)]
    leak = ["--leak"] if args.leak else []
    command = [sys.executable, __file__, "--child", "--seconds", str(args.seconds), *limits, *leak]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    kept = [row for row in rows if row["seconds"] >= args.warm_up and row["frames"] >= args.warm_up_frames]
    x = [row["seconds"] for row in kept]
    megabytes = [row["bytes"] / 1e6 for row in kept]
    third = max(1, len(kept) // 3)
    return {
        "seconds": x[-1] - x[0],
        "frames": kept[-1]["frames"] - kept[0]["frames"],
        "mb": float(np.median(megabytes)),
        "mb_per_hour": 3600 * slope(x, megabytes),
        "mb_grown": float(np.median(megabytes[-third:]) - np.median(megabytes[:third])),
        "mb_range": max(megabytes) - min(megabytes),
        "blocks_per_frame": slope([row["frames"] for row in kept], [row["blocks"] for row in kept]),
        # Of a third each, since a picture may just be being written.
        "threads_first": float(np.median([row["threads"] for row in kept[:third]])),
        "threads_last": float(np.median([row["threads"] for row in kept[-third:]])),
        "descriptors_first": float(np.median([row["descriptors"] for row in kept[:third]])),
        "descriptors_last": float(np.median([row["descriptors"] for row in kept[-third:]])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--warm-up", type=float, default=300, metavar="SECONDS")
    parser.add_argument("--frames", type=int, help="end after so many")
    parser.add_argument("--warm-up-frames", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--leak", action="store_true", help="keep one object a frame, to see that it is noticed")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.seconds, args.frames, args.leak)
        return
    found = soak(args)
    if args.json:
        print(json.dumps(found))
        return
    print(
        f"{found['frames']} frames in {found['seconds']:.0f} s after the warm-up, "
        f"{found['frames'] / found['seconds']:.0f} a second"
    )
    print(
        f"memory {found['mb']:.1f} MB, {found['mb_per_hour']:+.2f} MB an hour (target {TARGET}); "
        f"last third against first {found['mb_grown']:+.2f} MB, range {found['mb_range']:.2f} MB"
    )
    print(f"Python blocks {found['blocks_per_frame']:+.4f} a frame")
    print(
        f"threads {found['threads_first']:.0f} → {found['threads_last']:.0f}, "
        f"descriptors {found['descriptors_first']:.0f} → {found['descriptors_last']:.0f}"
    )


if __name__ == "__main__":
    main()
