"""Speed of the loop relative to the detector: python tests/benchmarks/loop_speed.py [--model FILE] [--rounds N]

Detector alone: preprocess, invoke and postprocess in one thread, on frames in memory. Loop: the same detector in
``run_loop``, with every frame annotated, on a source that always has the next frame ready:

    memory   the capture thread copies frames from memory
    outputs  the same, instead of annotations with the outputs of --web and --mqtt: a viewer in another process, which
             has the live stream and the event stream open, and a real broker (needs mosquitto)
    all      four zones and two lines, events to a file and a broker, snapshots, clips, and the web preview without
             viewers; at least one object is in view, so that a clip is encoded all the time
    video    the capture thread decodes the shipped clip (480×360) repeatedly; the detector alone has decoded frames

One interpreter thread, frames of 640×480 for memory. Rounds of the measurements are interleaved; their medians are
compared. The processor time of the thread of the loop is printed as well, and after it that of the whole process: other
programs hardly affect them, but they do not include waiting.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import cv2
import numpy as np
from endless import CLIP, Memory, PassiveSink, Video

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from arm.feature_stages import zone_monitor
from mqtt_broker import Mosquitto, free_port

from device_apps.camera_command import add_arguments
from device_apps.event_clips.options import open_clips
from device_apps.events.options import open_events
from device_apps.loop import run_loop
from device_apps.results import FrameResult, Sink
from device_apps.sources.capture import CaptureSource
from device_apps.sources.frames import Image
from device_apps.stats import Stats
from device_apps.web.options import open_web
from device_apps.zones.overlay import ZoneOverlay
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interleave import call_interleaved
from edge_ssd.runtime.shipped_models import find_model

TARGET = 0.9


class AnnotatingSink(PassiveSink):
    """Sink that annotates every frame."""

    def write(self, result: FrameResult) -> None:
        assert result.annotated.flags.writeable


class Rate(NamedTuple):
    """Frames per second of wall-clock time, of processor time of this thread, and of that of the process."""

    clock: float
    processor: float
    process: float


def measure(work: Callable[[], object], frames: int) -> Rate:
    clocks = time.perf_counter, time.thread_time, time.process_time
    start = [clock() for clock in clocks]
    work()
    return Rate(*(frames / (clock() - began) for clock, began in zip(clocks, start, strict=True)))


def bare(detector: Detector, images: list[Image], frames: int) -> Rate:
    return measure(lambda: [detector.detect(image) for image in islice(cycle(images), frames)], frames)


def loop(detector: Detector, open_reader: Callable[[], Memory | Video], frames: int) -> Rate:
    with CaptureSource(open_reader, "benchmark") as source:
        return measure(lambda: run_loop(source, detector, [AnnotatingSink()], max_frames=frames), frames)


def loop_with_outputs(detector: Detector, images: list[Image], frames: int, broker_port: int) -> Rate:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    address = f"mqtt://127.0.0.1:{broker_port}"
    with (
        ExitStack() as stack,
        CaptureSource(lambda: Memory(images), "benchmark") as source,
        tempfile.TemporaryDirectory() as folder,
    ):
        port = free_port()
        options = ["--web", str(port), "--mqtt", address, "--mqtt-spool", f"{folder}/spool.db", "--headless"]
        args = parser.parse_args(options)
        events = open_events(args, source, stack, detector.labels)
        assert events is not None
        stats = Stats(source)
        web = open_web(args, source, detector, stats, events, stack)
        sinks: list[Sink] = [events, *web]
        run_loop(source, detector, sinks, stats=stats, max_frames=20)
        with viewer(port):
            run_loop(source, detector, sinks, stats=stats, max_frames=50)
            return measure(lambda: run_loop(source, detector, sinks, stats=stats, max_frames=frames), frames)


class Everything:
    """Loop with all outputs of ``edge-ssd camera``, open for all rounds; a context manager."""

    def __init__(self, detector: Detector, images: list[Image], broker_port: int) -> None:
        self._detector = detector
        self._images = images
        self._address = f"mqtt://127.0.0.1:{broker_port}/all"
        self._stack = ExitStack()

    def __enter__(self) -> Everything:
        stack, detector = self._stack, self._detector
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        options = ["--headless", "--web", str(free_port()), "--mqtt", self._address, "--mqtt-spool", f"{folder}/spool"]
        options += ["--events", f"{folder}/events.jsonl", "--event-snapshots", f"{folder}/snapshots", "--mqtt-image"]
        args = parser.parse_args([*options, "--event-clips", f"{folder}/clips"])
        self._monitor = zone_monitor(detector.labels)
        self._source = stack.enter_context(CaptureSource(lambda: Memory(self._images), "benchmark"))
        self._stats = Stats(self._source)
        clips = open_clips(args, stack, live=True)
        events = open_events(args, self._source, stack, detector.labels, clips, self._monitor)
        assert events is not None
        assert clips is not None
        web = open_web(args, self._source, detector, self._stats, events, stack, zones=self._monitor)
        self._sinks: list[Sink] = [events, clips, *web]
        self.run(200)
        return self

    def run(self, frames: int) -> Rate:
        draw = ZoneOverlay(self._monitor).draw
        return measure(
            lambda: run_loop(
                self._source, self._detector, self._sinks, stats=self._stats, max_frames=frames, draw=draw
            ),
            frames,
        )

    def __exit__(self, *error: object) -> None:
        self._stack.close()


@contextmanager
def viewer(port: int) -> Iterator[None]:
    """Read the live stream and the event stream, as the page does, in another process."""
    program = (
        "import http.client, threading\n"
        "def read(path):\n"
        f"    connection = http.client.HTTPConnection('127.0.0.1', {port})\n"
        "    connection.request('GET', path)\n"
        "    response = connection.getresponse()\n"
        "    while response.read1(): pass\n"
        "threading.Thread(target=read, args=('/events',), daemon=True).start()\n"
        "read('/stream')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        assert process.poll() is None, "the viewer could not connect"
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="default: the shipped model")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--frames", type=int, default=200, help="per round")
    parser.add_argument("--only", choices=("memory", "outputs", "all"), help="measure this loop only")
    args = parser.parse_args()
    video = Video(CLIP)
    clip = [video.read() for _ in range(75)]
    large = [np.asarray(cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA), np.uint8) for image in clip]
    with (
        Detector(args.model or find_model("banana"), num_threads=1) as detector,
        tempfile.TemporaryDirectory() as folder,
        Mosquitto(Path(folder)) as broker,
        Everything(detector, large, broker.port) as everything,
    ):
        bare(detector, large, 50)
        frames = args.frames
        cases: dict[str, Callable[[], Rate]] = {
            "bare": lambda: bare(detector, large, frames),
            "memory": lambda: loop(detector, lambda: Memory(large), frames),
            "outputs": lambda: loop_with_outputs(detector, large, frames, broker.port),
            "all": lambda: everything.run(frames),
            "bare video": lambda: bare(detector, clip, frames),
            "video": lambda: loop(detector, lambda: Video(CLIP), frames),
        }
        if args.only is not None:
            cases = {name: case for name, case in cases.items() if name in ("bare", args.only)}
        samples = call_interleaved(lambda case: case(), list(cases.values()), args.rounds)
        rates = dict(zip(cases, samples, strict=True))
        boxes = sum(len(detector.detect(image)) for image in clip) / len(clip)
    print(f"{detector.backend}, one thread; {args.rounds} rounds of {args.frames} frames, {boxes:.1f} boxes per frame")
    for kind, loop_rates in rates.items():
        if kind.startswith("bare"):
            continue
        bare_rates = rates["bare video" if kind == "video" else "bare"]
        ratios = [loop.clock / bare.clock for bare, loop in zip(bare_rates, loop_rates, strict=True)]
        bare_fps, loop_fps = (median(rate.clock for rate in rates) for rates in (bare_rates, loop_rates))
        processor, process = (
            median(getattr(rate, name) for rate in loop_rates) / median(getattr(rate, name) for rate in bare_rates)
            for name in ("processor", "process")
        )
        print(
            f"{kind:7}  bare {bare_fps:6.1f} fps  loop {loop_fps:6.1f} fps  {loop_fps / bare_fps:.3f} "
            f"(target {TARGET}), by rounds {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}); "
            f"processor {processor:.3f}, process {process:.3f}"
        )


if __name__ == "__main__":
    main()
