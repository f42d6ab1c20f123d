"""Age of a result: python tests/benchmarks/result_age.py [seconds]

Servers at 30 frames per second, in a process of their own, send images that encode their number. The age is the time
from sending an image to the socket until the loop has its detections, so it includes all delays of OpenCV and FFmpeg.
The limit is one frame interval plus the time of a detection, both at p95.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path

import numpy as np
from endless import PassiveSink

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stream_servers import MjpegServer, RtspServer, jpeg_frame, number_of

from device_apps.loop import run_loop
from device_apps.results import FrameResult
from device_apps.sources.open_source import open_source
from edge_ssd import Detector
from edge_ssd.runtime.shipped_models import find_model

FPS, SIZE = 30, (640, 480)
WARM_UP_S = 1.0  # The first images after opening are those that FFmpeg buffered while it opened.


def serve(server_class: type[MjpegServer] | type[RtspServer], sent: SynchronizedArray, pipe: Connection) -> None:
    """Run a server that records when it sends each number, until the pipe closes."""
    jpegs = [jpeg_frame(number, *SIZE) for number in range(256)]

    class RecordingServer(server_class):  # type: ignore[misc, valid-type]
        def jpeg(self, number: int) -> bytes:
            sent[number % 256] = time.monotonic()
            return jpegs[number % 256]

    with RecordingServer(fps=FPS) as server:
        pipe.send(server.url)
        pipe.poll(None)


class Ages(PassiveSink):
    """Sink that records the age of each result and the time of its detection, in milliseconds."""

    def __init__(self, sent: SynchronizedArray) -> None:
        self.start = time.monotonic()
        self.sent: list[float] = []
        self.read: list[float] = []
        self.detect: list[float] = []
        self._sent = sent

    def write(self, result: FrameResult) -> None:
        now = time.monotonic()
        if now - self.start < WARM_UP_S:
            return
        self.sent.append(1e3 * (now - self._sent[number_of(result.frame.image)]))
        self.read.append(1e3 * (now - result.frame.captured_at))
        self.detect.append(result.milliseconds["detect"])


def measure(server_class: type[MjpegServer] | type[RtspServer], seconds: float) -> bool:
    """Print the ages with one server; return whether they are within the limit."""
    context = multiprocessing.get_context("fork")
    sent = context.Array("d", 256, lock=False)
    parent, child = context.Pipe()
    process = context.Process(target=serve, args=(server_class, sent, child))
    process.start()
    try:
        with Detector(find_model("banana")) as detector, open_source(parent.recv()) as source:
            ages = Ages(sent)
            report = run_loop(source, detector, [ages], duration=seconds + WARM_UP_S)
            counts = source.counts
    finally:
        parent.send("end")
        process.join()
    middle, high = np.percentile(ages.sent, (50, 95))
    read, detect = (float(np.percentile(values, 95)) for values in (ages.read, ages.detect))
    limit = 1e3 / FPS + detect
    verdict = "met" if high <= limit else "EXCEEDED"
    print(f"{server_class.scheme}: {report.snapshot.frames} results, {counts.dropped} frames dropped")
    print(f"  age since sent   p50 {middle:5.1f} ms, p95 {high:5.1f} ms, worst {max(ages.sent):5.1f} ms")
    print(f"  age since read   p95 {read:5.1f} ms; detection p95 {detect:.1f} ms; limit {limit:.1f} ms: {verdict}")
    return high <= limit


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    met = [measure(server_class, seconds) for server_class in (MjpegServer, RtspServer)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
