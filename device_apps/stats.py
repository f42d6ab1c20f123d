"""Statistics of a loop, in constant memory.

Each frame is counted once, even if a slow camera repeats it or a window shows it again. Times are the median and the
95th percentile, because a mean hides late frames. The stages:

capture      reading and decoding the frame, in the thread of the source, in parallel to the rest
gate         comparing the frame with the last one, if a motion gate is used  ─┐
preprocess   resizing to the input of the network                               ├ detect: all four, of which a
invoke       the network                                                        │ still frame has only the first
postprocess  decoding, thresholds, NMS                                         ─┘
draw         boxes and labels in the image, if it is shown
publish      passing the result to files, windows, events and browsers, without drawing
age          from the capture of the frame to its result
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from device_apps.machine import Health
from device_apps.sources.frames import Source, SourceCounts

if TYPE_CHECKING:
    from device_apps.results import FrameResult

__all__ = ["STAGES", "Quantiles", "Stats", "StatsSnapshot", "quantiles"]

STAGES = ("capture", "gate", "preprocess", "invoke", "postprocess", "draw", "publish", "detect", "age")

_FPS_WINDOW_S = 10.0


class Quantiles(NamedTuple):
    """Median and 95th percentile, in milliseconds."""

    p50: float
    p95: float


def quantiles(milliseconds: Sequence[float] | npt.NDArray[np.floating[Any]]) -> Quantiles:
    """Return median and 95th percentile of at least one number, interpolated linearly."""
    p50, p95 = np.percentile(milliseconds, (50, 95))
    return Quantiles(float(p50), float(p95))


@dataclass(frozen=True)
class StatsSnapshot:
    """Statistics of a loop at one moment.

    Attributes:
        seconds: time since the start.
        detections: number of detections in all frames.
        fps: frames per second over the last ten seconds; None before the second frame.
        stages: milliseconds over the last 2000 frames, by name, for each of :data:`STAGES` that was measured.
        memory_bytes, temperature_c, throttled: see :mod:`device_apps.machine`.
        still_frames: number of frames with repeated detections, since the scene was still.
    """

    seconds: float
    frames: int
    detections: int
    fps: float | None
    stages: Mapping[str, Quantiles]
    source: SourceCounts
    memory_bytes: int | None
    temperature_c: float | None
    throttled: str | None
    still_frames: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics in plain JSON types, rounded."""
        return {
            "seconds": round(self.seconds, 3),
            "frames": self.frames,
            "still_frames": self.still_frames,
            "detections": self.detections,
            "fps": None if self.fps is None else round(self.fps, 2),
            "ms": {
                stage: {name: round(value, 3) for name, value in times._asdict().items()}
                for stage, times in self.stages.items()
            },
            "source": asdict(self.source),
            "memory_bytes": self.memory_bytes,
            "temperature_c": self.temperature_c,
            "throttled": self.throttled,
        }


class Stats:
    """Statistics of the results of a loop. All methods are thread-safe.

    Args:
        source: its counts are part of each snapshot.
        health: reader of the machine's values, which several statistics may share.
        max_samples: number of times that are kept for each stage.
        max_timestamps: number of frames kept for ``fps``; with more in ten seconds, ``fps`` is over a shorter window.
    """

    def __init__(
        self,
        source: Source | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        health: Health | None = None,
        max_samples: int = 2_000,
        max_timestamps: int = 10_000,
    ) -> None:
        self._source = source
        self._clock = clock
        self._health = health or Health()
        self._max_samples = max_samples
        self._max_timestamps = max_timestamps
        self._lock = threading.Lock()  # Guards everything below.
        self._started = clock()
        self._first_at = self._last_at = 0.0
        self._frames = self._detections = self._still_frames = 0
        self._timestamps = _RingBuffer(max_timestamps, np.float64)
        self._stages: dict[str, _RingBuffer] = {}

    def add(self, result: FrameResult) -> None:
        """Count a result: its detections, and the time of each of its stages."""
        now = self._clock()
        # An atomic copy: the thread of a viewer may add its drawing time meanwhile.
        milliseconds = list(result.milliseconds.items())
        with self._lock:
            if self._frames == 0:
                self._first_at = now
            self._last_at = now
            self._timestamps.append(now)
            self._frames += 1
            self._detections += len(result.detections)
            self._still_frames += result.still
            for stage, value in milliseconds:
                self._ring(stage).append(value)

    def record(self, stage: str, milliseconds: float) -> None:
        """Add the time of one of :data:`STAGES` outside the loop, such as "draw" in the thread of a viewer."""
        with self._lock:
            self._ring(stage).append(milliseconds)

    @property
    def mean_fps(self) -> float | None:
        """Frames per second from the first result to the last; None for fewer than two results."""
        with self._lock:
            seconds = self._last_at - self._first_at
            return (self._frames - 1) / seconds if self._frames > 1 and seconds > 0 else None

    @property
    def fps(self) -> float | None:
        """Frames per second over the last ten seconds, as in a snapshot but cheaper."""
        with self._lock:
            return self._fps(self._clock())

    def snapshot(self) -> StatsSnapshot:
        """Return the statistics at this moment. Takes less than a millisecond: call it once a second, not per frame."""
        with self._lock:
            now = self._clock()
            names = [*(stage for stage in STAGES if stage in self._stages), *self._stages]
            times = {stage: self._stages[stage].values() for stage in names}
            seconds, frames, detections = now - self._started, self._frames, self._detections
            still_frames = self._still_frames
            fps = self._fps(now)
        return StatsSnapshot(
            seconds,
            frames,
            detections,
            fps,
            {stage: quantiles(values) for stage, values in times.items()},
            SourceCounts() if self._source is None else self._source.counts,
            *self._health.read(),
            still_frames,
        )

    def _ring(self, stage: str) -> _RingBuffer:
        return self._stages.setdefault(stage, _RingBuffer(self._max_samples))

    def _fps(self, now: float) -> float | None:
        """Return the results in the window per second of it; decreases to 0 when no frames come."""
        if self._frames < 2:
            return None
        timestamps = self._timestamps.values()
        earliest = self._first_at if self._frames <= self._max_timestamps else float(timestamps.min())
        start = max(earliest, now - _FPS_WINDOW_S)
        return float((timestamps > start).sum() / (now - start)) if now > start else None


class _RingBuffer:
    """The last ``size`` numbers."""

    def __init__(self, size: int, dtype: npt.DTypeLike = np.float32) -> None:
        self._array: npt.NDArray[np.floating[Any]] = np.zeros(size, dtype)
        self._count = 0

    def append(self, value: float) -> None:
        self._array[self._count % len(self._array)] = value
        self._count += 1

    def values(self) -> npt.NDArray[np.floating[Any]]:
        """Return a copy, in no particular order."""
        return self._array[: self._count].copy()
