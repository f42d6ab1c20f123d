"""The loop of every program here: take a frame, detect, hand the result to whoever wants it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from device_apps.frames import Frame, Image, Source
from device_apps.overlay import draw
from edge_ssd.errors import SourceError
from edge_ssd.runtime.detections import Detections

__all__ = ["Detecting", "LoopReport", "Result", "Sink", "run_loop"]

_REMEMBERED = 10_000  # Frames whose stage times are kept; a loop may run for months.
_WAIT_S = 0.05  # How long one wait for a frame lasts at most, so that windows and signals are looked after.


class Detecting(Protocol):
    """What the loop needs of an :class:`edge_ssd.Detector`."""

    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds that each stage of the last ``detect`` took."""

    def detect(self, image: Image) -> Detections: ...


class Result:
    """One frame and what was found in it.

    Attributes:
        frame: the frame.
        detections: boxes in its pixels.
        milliseconds: what each stage took so far; "age" is the time from capture to result.
    """

    def __init__(self, frame: Frame, detections: Detections, milliseconds: dict[str, float]) -> None:
        self.frame = frame
        self.detections = detections
        self.milliseconds = milliseconds
        self._annotated: Image | None = None

    @property
    def annotated(self) -> Image:
        """The picture with boxes, uint8 RGB [H, W, 3]; drawn when first asked for, so only if somebody looks."""
        if self._annotated is None:
            start = time.perf_counter()
            self._annotated = draw(self.frame.image, self.detections)
            self.milliseconds["draw"] = _ms_since(start)
        return self._annotated


class Sink(Protocol):
    """Takes results: a window, a file, a stream of lines."""

    @property
    def finished(self) -> bool:
        """True when the person behind it wants the loop to end."""

    def write(self, result: Result) -> None: ...

    def idle(self) -> None:
        """Called between frames, at least every 0.1 s."""


@dataclass
class LoopReport:
    """What a loop did. ``failure`` is why it ended, if not by itself: its source failed, or a reader went away."""

    frames: int = 0
    detections: int = 0
    dropped: int = 0
    failure: SourceError | BrokenPipeError | None = None
    first_at: float = 0.0
    last_at: float = 0.0
    stages: dict[str, deque[float]] = field(default_factory=dict)

    @property
    def fps(self) -> float | None:
        """Different frames a second, from the first result to the last; None for fewer than two."""
        seconds = self.last_at - self.first_at
        return (self.frames - 1) / seconds if self.frames > 1 and seconds > 0 else None

    def percentiles(self, stage: str) -> tuple[float, float]:
        """Median and 95th percentile of a stage's milliseconds, over the last 10 000 frames."""
        middle, high = np.percentile(self.stages[stage], (50, 95))
        return float(middle), float(high)

    def add(self, result: Result) -> None:
        """Count one result."""
        self.last_at = time.monotonic()
        if self.frames == 0:
            self.first_at = self.last_at
        self.frames += 1
        self.detections += len(result.detections)
        for stage, value in result.milliseconds.items():
            self.stages.setdefault(stage, deque(maxlen=_REMEMBERED)).append(value)


def run_loop(
    source: Source,
    detector: Detecting,
    sinks: Sequence[Sink],
    *,
    stop: threading.Event | None = None,
    max_frames: int | None = None,
    duration: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LoopReport:
    """Run until the source ends, ``stop`` is set, a sink is finished, or a limit is reached.

    Args:
        source: an entered source.
        detector: see :class:`Detecting`.
        sinks: each gets every result, in order.
        stop: looked at before each frame and while waiting for one.
        max_frames: end after this many frames.
        duration: end after this many seconds.
        clock: seconds, for ``duration``.

    A source that fails for good, or a pipe that nobody reads any more, ends the loop as a last frame does, with
    the reason in the report: what was detected until then is kept. Other errors are raised.
    """
    report = LoopReport()
    end = None if duration is None else clock() + duration
    while not (stop is not None and stop.is_set()) and not any(sink.finished for sink in sinks):
        if report.frames == max_frames or (end is not None and clock() >= end):
            break
        try:
            frame = source.read(_WAIT_S)
            if frame is not None:
                report.add(_process(frame, detector, sinks))
            elif source.ended:
                break
            else:
                for sink in sinks:
                    sink.idle()
        except (SourceError, BrokenPipeError) as error:
            report.failure = error
            break
    report.dropped = source.dropped
    return report


def _process(frame: Frame, detector: Detecting, sinks: Sequence[Sink]) -> Result:
    start = time.perf_counter()
    detections = detector.detect(frame.image)
    milliseconds = {name: seconds * 1e3 for name, seconds in detector.timings.items()}
    milliseconds["detect"] = _ms_since(start)
    milliseconds["age"] = (time.monotonic() - frame.captured_at) * 1e3
    result = Result(frame, detections, milliseconds)
    start = time.perf_counter()
    for sink in sinks:
        sink.write(result)
    if sinks:
        milliseconds["output"] = _ms_since(start) - milliseconds.get("draw", 0.0)
    return result


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
