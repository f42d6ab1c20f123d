"""Images per second of one detector and of several: python tests/benchmarks/detector_pool.py [MODEL] [--images 500]

A detector runs one image at a time, and divides the network among its threads. It is compared with one detector of one
thread for each processor, which detect beside each other: the bundle is read once, each has an interpreter of its own.
The cases take turns in blocks of images, so that other load affects all of them; the median of the blocks counts. Let
nothing else run on the machine. Frames have 640x480 pixels.
"""

from __future__ import annotations

import argparse
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import median

import numpy as np
from PIL import Image

from edge_ssd.errors import BackendError
from edge_ssd.runtime.bundle import Bundle, read_bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interleave import call_interleaved
from edge_ssd.runtime.interpreter import Backend
from edge_ssd.runtime.processors import usable_processors

_BLOCK = 50  # images
_NUM_FRAMES = 16


def frames_of(bundle: Bundle) -> list[np.ndarray]:
    """Return frames of 640x480 with the objects of the self-test, each shifted by some pixels."""
    image = Image.fromarray(bundle.selftest.image).resize((640, 480), Image.Resampling.BICUBIC)
    return [np.roll(np.asarray(image), 7 * i, axis=1) for i in range(_NUM_FRAMES)]


def case(
    detectors: Sequence[Detector], callers: int, frames: Sequence[np.ndarray], stack: ExitStack
) -> Callable[[], float]:
    """Return a function that detects in a block of images, with so many calling threads, and returns its seconds."""
    local, unused = threading.local(), itertools.cycle(detectors)

    def start() -> None:
        local.detector = next(unused)

    def detect(number: int) -> int:
        return len(local.detector.detect(frames[number % len(frames)]))

    pool = stack.enter_context(ThreadPoolExecutor(callers, initializer=start))

    def run() -> float:
        begin = time.perf_counter()
        assert sum(pool.map(detect, range(_BLOCK))) > 0
        return time.perf_counter() - begin

    return run


def measure(bundle: Bundle, backend: Backend, images: int, number: int) -> None:
    frames = frames_of(bundle)
    with ExitStack() as stack:

        def detectors(amount: int, threads: int) -> list[Detector]:
            return [stack.enter_context(Detector(bundle, num_threads=threads, backend=backend)) for _ in range(amount)]

        one = detectors(1, number)
        cases = {
            "1 detector of 1 thread, 1 caller": case(detectors(1, 1), 1, frames, stack),
            f"1 detector of {number} threads, 1 caller": case(one, 1, frames, stack),
            f"1 detector of {number} threads, {number} callers": case(one, number, frames, stack),
            f"{number} detectors of 1 thread, {number} callers": case(detectors(number, 1), number, frames, stack),
        }
        samples = call_interleaved(lambda run: run(), list(cases.values()), max(2, images // _BLOCK) + 1)
    rates = [_BLOCK / median(seconds[1:]) for seconds in samples]
    for name, rate in zip(cases, rates, strict=True):
        print(
            f"{backend:15s} {name:40s} {rate:7.1f} images/s  {rate / max(rates[:3]):4.2f} of the best single detector"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="banana", help="a bundle, or a shipped model (default: banana)")
    parser.add_argument("--images", type=int, default=500, help="for each case (default: 500)")
    parser.add_argument("--detectors", type=int, default=usable_processors(), help="default: one per processor")
    args = parser.parse_args()
    bundle = read_bundle(args.model)
    print(f"{bundle.name}, {args.images} images for each case, {usable_processors()} processors")
    backends: tuple[Backend, ...] = ("ai-edge-litert", "tflite-runtime")
    for backend in backends:
        try:
            measure(bundle, backend, args.images, args.detectors)
        except BackendError as error:
            print(f"{backend:15s} left out: {error}")


if __name__ == "__main__":
    main()
