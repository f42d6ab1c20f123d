"""Loop that runs detection on every frame of a source and passes each result to every sink."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_apps.motion_gate import MotionGate
from device_apps.results import FrameResult, Sink
from device_apps.sources.frames import Frame, Image, Source
from device_apps.stats import Stats, StatsSnapshot
from edge_ssd.drawing import draw_detections
from edge_ssd.errors import SourceError

if TYPE_CHECKING:
    from edge_ssd.runtime.detections import Detections
    from edge_ssd.runtime.detector import Detector

__all__ = ["LoopReport", "detect_frame", "process_frame", "run_loop"]

_READ_TIMEOUT_S = 0.05  # Maximum wait for a frame, so that windows and signals are handled in time.


@dataclass(frozen=True)
class LoopReport:
    """Summary of a loop that has ended.

    Attributes:
        snapshot: counts and times at the end.
        fps: frames per second from the first result to the last; None for fewer than two results.
        failure: the error of the source or of a closed pipe that ended the loop, or None.
    """

    snapshot: StatsSnapshot
    fps: float | None
    failure: SourceError | BrokenPipeError | None = None


def run_loop(
    source: Source,
    detector: Detector,
    sinks: Sequence[Sink],
    *,
    stats: Stats | None = None,
    stop: threading.Event | None = None,
    max_frames: int | None = None,
    duration: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[Image, Detections], Image] = draw_detections,
    gate: MotionGate | None = None,
) -> LoopReport:
    """Detect in every frame until the source ends, ``stop`` is set, a sink is finished, or a limit is reached.

    A source that fails for good, or a closed pipe, ends the loop like a last frame does: the error is in the report,
    and earlier results are kept. Other errors are raised.

    Args:
        sinks: receive every result, in order.
        stats: counts every result; other threads may read it meanwhile. None creates one for the report.
        max_frames, duration: limits, the duration in seconds by ``clock``; None for no limit.
        draw: of the results, see :class:`~device_apps.results.FrameResult`.
        gate: repeats the last detections while the scene is still; None detects in every frame.
    """
    stats = Stats(source) if stats is None else stats
    failure: SourceError | BrokenPipeError | None = None
    frames = 0
    end = None if duration is None else clock() + duration
    while not (stop is not None and stop.is_set()) and not any(sink.finished for sink in sinks):
        if frames == max_frames or (end is not None and clock() >= end):
            break
        try:
            frame = source.read(_READ_TIMEOUT_S)
            if frame is not None:
                stats.add(process_frame(frame, detector, sinks, draw, gate))
                frames += 1
            elif source.ended:
                break
            else:
                for sink in sinks:
                    sink.idle()
        except (SourceError, BrokenPipeError) as error:
            failure = error
            break
    return LoopReport(stats.snapshot(), stats.mean_fps, failure)


def detect_frame(detector: Detector, frame: Frame) -> Detections:
    """Return the detections in a frame, in pixels of its image."""
    reduced = frame.pixels.shape[:2] != frame.size
    return detector.detect(frame.pixels, frame.size) if reduced else detector.detect(frame.pixels)


def process_frame(
    frame: Frame,
    detector: Detector,
    sinks: Sequence[Sink],
    draw: Callable[[Image, Detections], Image],
    gate: MotionGate | None = None,
) -> FrameResult:
    """Detect in a frame, unless ``gate`` repeats the last detections; pass the result to every sink, and return it."""
    start = time.perf_counter()
    milliseconds: dict[str, float] = {}
    detections = None
    if gate is not None:
        detections = gate.repeated(frame)
        milliseconds["gate"] = _ms_since(start)
    still = detections is not None
    if detections is None:
        detections = detect_frame(detector, frame)
        milliseconds.update({name: seconds * 1e3 for name, seconds in detector.timings.items()})
        if gate is not None:
            gate.update(detections)
    if frame.read_seconds:
        milliseconds["capture"] = frame.read_seconds * 1e3
    milliseconds["detect"] = _ms_since(start)
    milliseconds["age"] = (time.monotonic() - frame.captured_at) * 1e3
    result = FrameResult(frame, detections, milliseconds, draw, still=still)
    start = time.perf_counter()
    for sink in sinks:
        sink.write(result)
    if sinks:
        milliseconds["publish"] = max(0.0, _ms_since(start) - milliseconds.get("draw", 0.0))
    return result


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
