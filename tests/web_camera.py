"""A camera with a web preview for tests: the shipped clip in a loop, through the real camera loop and detector.

``python web_camera.py [--web 8080] [--fps 15]`` serves it for a browser.
"""

from __future__ import annotations

import argparse
import io
import itertools
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from stream_servers import MjpegServer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from device_apps.collect.collector import Collector
from device_apps.events.history import EventHistory
from device_apps.loop import run_loop
from device_apps.results import Sink
from device_apps.sources.frames import Frame, SourceCounts
from device_apps.stats import Stats
from device_apps.web.limits import WebLimits
from device_apps.web.options import add_web_arguments, open_web
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.monitor import ZoneMonitor
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.shipped_models import find_model

CLIP = Path(__file__).resolve().parent.parent / "device_apps" / "clips" / "bananas.mp4"


@cache
def clip_frames(path: Path = CLIP) -> list[np.ndarray]:
    """The frames of a shipped clip, uint8 RGB."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    capture.release()
    return frames


class LoopedFrames:
    """A live source that repeats the same frames; ``paused`` stops them, ``lost`` reports the source as lost."""

    name = "bananas.mp4"
    live = True
    ended = False

    def __init__(self, frames: Sequence[np.ndarray], fps: float | None) -> None:
        self.fps = fps
        self.paused = threading.Event()
        self.silent = False  # The pause has begun: the last frame has been delivered.
        self.lost = False
        self._frames = frames
        self._count = 0
        self._next = time.monotonic()

    @property
    def counts(self) -> SourceCounts:
        return SourceCounts(frames=self._count, connected=not self.lost)

    def read(self, timeout: float) -> Frame | None:
        self.silent = self.paused.is_set()
        if self.silent:
            time.sleep(min(timeout, 0.02))
            return None
        if self.fps is not None:
            wait = self._next - time.monotonic()
            if wait > timeout:
                time.sleep(timeout)
                return None
            time.sleep(max(0.0, wait))
            self._next = max(self._next, time.monotonic() - 1) + 1 / self.fps
        image = self._frames[self._count % len(self._frames)]
        self._count += 1
        return Frame(image, self._count - 1, time.monotonic(), self.name)


class ClipServer(MjpegServer):
    """A shipped clip in a loop, as a network camera would send it."""

    clip = CLIP

    def jpeg(self, number: int) -> bytes:
        frames, file = clip_frames(self.clip), io.BytesIO()
        Image.fromarray(frames[number % len(frames)]).save(file, "JPEG", quality=92)
        return file.getvalue()


class RecentEvents:
    """The event source of the preview without a tracker."""

    snapshots = clips = None

    def __init__(self) -> None:
        self.recent: deque[SeenEvent] = deque(maxlen=50)
        self.history = EventHistory()
        self._callbacks: list[Callable[[SeenEvent], None]] = []

    def subscribe(self, callback: Callable[[SeenEvent], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def add(self, event: SeenEvent) -> None:
        self.recent.append(event)
        self.history.publish(event)
        for callback in self._callbacks:
            callback(event)


class SeenEvent:
    _numbers = itertools.count(1)

    def __init__(self, kind: str, object_id: int, label: str, **more: object) -> None:
        time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self.id = f"12ab-{next(self._numbers)}"
        self._values = {"id": self.id, "kind": kind, "object_id": object_id, "label": label, "time": time, **more}

    def to_dict(self) -> dict[str, object]:
        return self._values


class LogLines(logging.Handler):
    """Collects the log messages of ``device_apps`` while the context is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> LogLines:
        logger = logging.getLogger("device_apps")
        logger.addHandler(self)
        logger.setLevel(logging.INFO)
        return self

    def __exit__(self, *error: object) -> None:
        logger = logging.getLogger("device_apps")
        logger.removeHandler(self)
        logger.setLevel(logging.NOTSET)


class Camera:
    """The camera loop in a thread, and the preview that ``options`` configure; a context manager."""

    def __init__(
        self,
        *options: str,
        source: LoopedFrames | None = None,
        detector: Detector | None = None,
        events: RecentEvents | None = None,
        zones: Path | None = None,
        limits: WebLimits = WebLimits(),
        clock: Callable[[], float] = time.monotonic,
        collector: Collector | None = None,
    ) -> None:
        parser = argparse.ArgumentParser()
        add_web_arguments(parser)
        parser.add_argument("--name")
        self.args = parser.parse_args(["--web", "0", *options])
        self.source = source or LoopedFrames(clip_frames(), 15)
        self.detector = detector or Detector(find_model("banana"), num_threads=1)
        self.stats = Stats(self.source)
        self.events = events
        active = ActiveZones.open(None, zones)
        active.check(self.detector.labels)
        self.zones = ZoneMonitor(active, self.detector.labels)
        self.limits, self.clock = limits, clock
        self.collector = collector
        self.log: list[str] = []
        self.port = 0
        self.sinks: list[Sink] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop", daemon=True)
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Camera:
        try:
            self.log = self._stack.enter_context(LogLines()).lines
            self.sinks = open_web(
                self.args,
                self.source,
                self.detector,
                self.stats,
                self.events,
                self._stack,
                self.limits,
                self.clock,
                self.zones,
                self.collector,
            )
        except BaseException:
            self._stack.close()
            raise
        self.port = int(self.log[-1].partition("http://")[2].partition("/")[0].rpartition(":")[2])
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop_loop()
        self._stack.close()

    def stop_loop(self) -> None:
        """Stop the loop; the server continues."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        run_loop(self.source, self.detector, self.sinks, stats=self.stats, stop=self._stop)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--web", default="8080")
    parser.add_argument("--fps", type=float, default=15)
    args = parser.parse_args()
    with Camera("--web", args.web, source=LoopedFrames(clip_frames(), args.fps), events=RecentEvents()) as camera:
        print(camera.log[-1])
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main()
