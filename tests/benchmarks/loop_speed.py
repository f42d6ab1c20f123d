"""The camera loop against the bare detector: python tests/benchmarks/loop_speed.py [--model FILE] [--rounds N]

Bare: preprocess, invoke and post-process in one thread, nothing else, on frames that lie in memory. The loop: the same
detector in ``run_loop`` with the overlay drawn for every frame and no viewer, on a source that always has the next
frame ready:

    memory   the frames lie in memory, and the capture thread hands them over, each one copied
    video    the capture thread decodes the shipped clip (480×360), over and over; bare has the same frames decoded

One interpreter thread, frames of 640×480 for memory. Rounds of the four take turns; the median of each is compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from endless import CLIP, Memory, Video

from device_apps.capture import CaptureSource
from device_apps.frames import Image
from device_apps.loop import Result, run_loop
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.models import default_model

TARGET = 0.9


class Looker:
    """A sink that wants the overlay."""

    finished = False

    def write(self, result: Result) -> None:
        assert result.annotated.flags.writeable

    def idle(self) -> None:
        pass


def bare(detector: Detector, images: list[Image], frames: int) -> float:
    start = time.perf_counter()
    for image in islice(cycle(images), frames):
        detector.detect(image)
    return frames / (time.perf_counter() - start)


def loop(detector: Detector, open_grabber: Callable[[], Memory | Video], frames: int) -> float:
    with CaptureSource(open_grabber, "benchmark") as source:
        start = time.perf_counter()
        report = run_loop(source, detector, [Looker()], max_frames=frames)
        seconds = time.perf_counter() - start
    assert report.frames == frames
    return frames / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="default: the shipped one")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--frames", type=int, default=200, help="in each round")
    args = parser.parse_args()
    video = Video(CLIP)
    clip = [video.read() for _ in range(75)]
    large = [np.asarray(cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA), np.uint8) for image in clip]
    rates: dict[str, list[float]] = {"memory bare": [], "memory loop": [], "video bare": [], "video loop": []}
    with Detector(args.model or default_model(), num_threads=1) as detector:
        bare(detector, large, 50)
        for _ in range(args.rounds):
            rates["memory bare"].append(bare(detector, large, args.frames))
            rates["memory loop"].append(loop(detector, lambda: Memory(large), args.frames))
            rates["video bare"].append(bare(detector, clip, args.frames))
            rates["video loop"].append(loop(detector, lambda: Video(CLIP), args.frames))
        boxes = sum(len(detector.detect(image)) for image in clip) / len(clip)
    print(f"{detector.backend}, one thread; {args.rounds} rounds of {args.frames} frames, {boxes:.1f} boxes a frame")
    for kind in ("memory", "video"):
        plain, looped = median(rates[f"{kind} bare"]), median(rates[f"{kind} loop"])
        each = [b / a for a, b in zip(rates[f"{kind} bare"], rates[f"{kind} loop"], strict=True)]
        print(
            f"{kind:6}  bare {plain:6.1f} fps  loop {looped:6.1f} fps  {looped / plain:.3f}, "
            f"by rounds {median(each):.3f} ({min(each):.3f} to {max(each):.3f})  (target {TARGET})"
        )


if __name__ == "__main__":
    main()
