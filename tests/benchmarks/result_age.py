"""How old a result is: python tests/benchmarks/result_age.py [seconds]

Real servers at 30 frames a second, in a process of their own, send pictures that carry their number. The age runs from
the moment that the server hands a picture to its socket to the moment that the loop has its detections, so whatever
OpenCV and FFmpeg hold back is in it. The limit is one frame interval and the time of a detection, both at p95.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import SynchronizedArray
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from stream_servers import MjpegServer, RtspServer, jpeg_frame, number_of

from device_apps.loop import run_loop
from device_apps.results import FrameResult
from device_apps.sources.open_source import open_source
from edge_ssd import Detector
from edge_ssd.runtime.models import default_model

FPS, SIZE = 30, (640, 480)
SETTLED_S = 1.0  # The first pictures after opening are those that FFmpeg looked at meanwhile.


def serve(make: type[MjpegServer] | type[RtspServer], sent: SynchronizedArray, pipe: Connection) -> None:
    """The server's process: notes when it sends which number, until the pipe closes."""
    pictures = [jpeg_frame(number, *SIZE) for number in range(256)]

    class Noting(make):  # type: ignore[misc, valid-type]
        def picture(self, number: int) -> bytes:
            sent[number % 256] = time.monotonic()
            return pictures[number % 256]

    with Noting(fps=FPS) as server:
        pipe.send(server.url)
        pipe.poll(None)


class Ages:
    """A sink that notes how old each result is, in milliseconds, and how long its detection took."""

    finished = False

    def __init__(self, sent: SynchronizedArray) -> None:
        self.start = time.monotonic()
        self.sent: list[float] = []
        self.read: list[float] = []
        self.detect: list[float] = []
        self._sent = sent

    def write(self, result: FrameResult) -> None:
        now = time.monotonic()
        if now - self.start < SETTLED_S:
            return
        self.sent.append(1e3 * (now - self._sent[number_of(result.frame.image)]))
        self.read.append(1e3 * (now - result.frame.captured_at))
        self.detect.append(result.milliseconds["detect"])

    def idle(self) -> None:
        pass


def measure(make: type[MjpegServer] | type[RtspServer], seconds: float) -> bool:
    """Print one server's line; True when it keeps the limit."""
    context = multiprocessing.get_context("fork")
    sent = context.Array("d", 256, lock=False)
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(make, sent, theirs))
    process.start()
    try:
        with Detector(default_model()) as detector, open_source(ours.recv()) as source:
            ages = Ages(sent)
            report = run_loop(source, detector, [ages], duration=seconds + SETTLED_S)
            counts = source.counts
    finally:
        ours.send("end")
        process.join()
    middle, high = np.percentile(ages.sent, (50, 95))
    read, detect = (float(np.percentile(values, 95)) for values in (ages.read, ages.detect))
    limit = 1e3 / FPS + detect
    verdict = "kept" if high <= limit else "MISSED"
    print(f"{make.scheme}: {report.frames} results, {counts.dropped} frames dropped")
    print(f"  age since sent   p50 {middle:5.1f} ms, p95 {high:5.1f} ms, worst {max(ages.sent):5.1f} ms")
    print(f"  age since read   p95 {read:5.1f} ms; detection p95 {detect:.1f} ms; limit {limit:.1f} ms: {verdict}")
    return high <= limit


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    kept = [measure(make, seconds) for make in (MjpegServer, RtspServer)]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
