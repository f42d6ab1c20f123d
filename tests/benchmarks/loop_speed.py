"""Speed of the loop relative to the detector: python tests/benchmarks/loop_speed.py [--model FILE] [--rounds N]

Detector alone: preprocess, invoke and postprocess in one thread, on frames in memory. Loop: the same detector in
``run_loop``, with every frame annotated, on a source that always has the next frame ready:

    memory   the capture thread copies frames from memory
    video    the capture thread decodes the shipped clip (480×360) repeatedly; the detector alone has decoded frames

One interpreter thread, frames of 640×480 for memory. Rounds of the four measurements are interleaved; their medians are
compared. The processor time of the thread of the loop is printed as well: other programs hardly affect it, but it does
not include waiting.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np
from endless import CLIP, Memory, PassiveSink, Video

from device_apps.loop import run_loop
from device_apps.results import FrameResult
from device_apps.sources.capture import CaptureSource
from device_apps.sources.frames import Image
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interleave import call_interleaved
from edge_ssd.runtime.shipped_models import default_model

TARGET = 0.9


class AnnotatingSink(PassiveSink):
    """Sink that annotates every frame."""

    def write(self, result: FrameResult) -> None:
        assert result.annotated.flags.writeable


class Rate(NamedTuple):
    """Frames per second of wall-clock time and of processor time of this thread."""

    clock: float
    processor: float


def measure(work: Callable[[], object], frames: int) -> Rate:
    start, start_processor = time.perf_counter(), time.thread_time()
    work()
    return Rate(frames / (time.perf_counter() - start), frames / (time.thread_time() - start_processor))


def bare(detector: Detector, images: list[Image], frames: int) -> Rate:
    return measure(lambda: [detector.detect(image) for image in islice(cycle(images), frames)], frames)


def loop(detector: Detector, open_reader: Callable[[], Memory | Video], frames: int) -> Rate:
    with CaptureSource(open_reader, "benchmark") as source:
        return measure(lambda: run_loop(source, detector, [AnnotatingSink()], max_frames=frames), frames)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="default: the shipped model")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--frames", type=int, default=200, help="per round")
    args = parser.parse_args()
    video = Video(CLIP)
    clip = [video.read() for _ in range(75)]
    large = [np.asarray(cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA), np.uint8) for image in clip]
    with Detector(args.model or default_model(), num_threads=1) as detector:
        bare(detector, large, 50)
        cases: list[Callable[[], Rate]] = [
            lambda: bare(detector, large, args.frames),
            lambda: loop(detector, lambda: Memory(large), args.frames),
            lambda: bare(detector, clip, args.frames),
            lambda: loop(detector, lambda: Video(CLIP), args.frames),
        ]
        rates = call_interleaved(lambda case: case(), cases, args.rounds)
        boxes = sum(len(detector.detect(image)) for image in clip) / len(clip)
    print(f"{detector.backend}, one thread; {args.rounds} rounds of {args.frames} frames, {boxes:.1f} boxes per frame")
    for kind, bare_rates, loop_rates in (("memory", *rates[:2]), ("video", *rates[2:])):
        ratios = [loop.clock / bare.clock for bare, loop in zip(bare_rates, loop_rates, strict=True)]
        bare_fps, loop_fps = (median(rate.clock for rate in rates) for rates in (bare_rates, loop_rates))
        processor = median(rate.processor for rate in loop_rates) / median(rate.processor for rate in bare_rates)
        print(
            f"{kind:6}  bare {bare_fps:6.1f} fps  loop {loop_fps:6.1f} fps  {loop_fps / bare_fps:.3f} "
            f"(target {TARGET}), by rounds {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}); "
            f"processor {processor:.3f}"
        )


if __name__ == "__main__":
    main()
