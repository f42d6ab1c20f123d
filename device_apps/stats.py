"""What a loop did, counted so that the numbers can be believed, in memory that does not grow with the months.

A frame counts once, however often a slow camera repeats it or a screen shows it. Times are given as the median and
the 95th percentile, since a mean hides the frames that were late.

capture      reading and decoding the frame, in the source's own thread, beside the rest
preprocess   resizing to the network's input       ─┐
invoke       the network                            ├ detect: the whole of it
postprocess  decoding, thresholds, suppression     ─┘
draw         boxes and labels into the picture, when somebody looks at it
publish      handing the result to files, windows, events and browsers, without the drawing
age          from the frame's capture to the result
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from device_apps.health import Health
from device_apps.sources.frames import Source, SourceCounts

if TYPE_CHECKING:
    from device_apps.results import FrameResult

__all__ = ["STAGES", "Quantiles", "Stats", "StatsSnapshot", "quantiles"]

STAGES = ("capture", "preprocess", "invoke", "postprocess", "draw", "publish", "detect", "age")

_REMEMBERED = 2_000  # Frames whose times are kept.
_FPS_WINDOW_S = 10.0
_MOST_TIMES = 10_000  # In that window; a source that is faster is counted over a shorter one.


class Quantiles(NamedTuple):
    """Median and 95th percentile, in milliseconds."""

    p50: float
    p95: float


def quantiles(milliseconds: Sequence[float] | npt.NDArray[np.floating[Any]]) -> Quantiles:
    """Of at least one number; between two of them, in proportion (NumPy's "linear")."""
    middle, high = np.percentile(milliseconds, (50, 95))
    return Quantiles(float(middle), float(high))


@dataclass(frozen=True)
class StatsSnapshot:
    """How a loop is doing.

    Attributes:
        seconds: since it started.
        frames: different frames that were processed.
        detections: objects found in them, in all.
        fps: different frames a second over the last ten seconds; None before the second frame.
        stages: milliseconds over the last 2000 frames, those of :data:`STAGES` that were measured.
        source: what the source counted.
        memory_bytes: resident, of this process.
        temperature_c: of the processor.
        throttled: what a Raspberry Pi holds back; "" for nothing, None where there is no ``vcgencmd``.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, rounded."""
        return {
            "seconds": round(self.seconds, 3),
            "frames": self.frames,
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
    """Counts results; every method may be called from any thread.

    Args:
        source: whose counts go into each snapshot.
        clock: seconds, increasing.
    """

    def __init__(self, source: Source | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._health = Health()
        self._lock = threading.Lock()  # Guards what follows.
        self._started = clock()
        self._first_at = self._last_at = 0.0
        self._frames = self._detections = 0
        self._times = _RingBuffer(_MOST_TIMES, np.float64)
        self._stages: dict[str, _RingBuffer] = {}

    def add(self, result: FrameResult) -> None:
        """Count one result."""
        now = self._clock()
        # A copy, made in one step: a viewer's thread may add its drawing time meanwhile.
        milliseconds = list(result.milliseconds.items())
        with self._lock:
            if self._frames == 0:
                self._first_at = now
            self._last_at = now
            self._times.append(now)
            self._frames += 1
            self._detections += len(result.detections)
            for stage, value in milliseconds:
                self._ring(stage).append(value)

    def record(self, stage: str, milliseconds: float) -> None:
        """Count the time of a stage that happens beside the loop, such as drawing in a viewer's thread."""
        with self._lock:
            self._ring(stage).append(milliseconds)

    @property
    def mean_fps(self) -> float | None:
        """Different frames a second, from the first result to the last; None for fewer than two."""
        with self._lock:
            seconds = self._last_at - self._first_at
            return (self._frames - 1) / seconds if self._frames > 1 and seconds > 0 else None

    @property
    def fps(self) -> float | None:
        """That of a snapshot, for less than a whole one costs."""
        with self._lock:
            return self._fps(self._clock())

    def snapshot(self) -> StatsSnapshot:
        """The state of now; costs well under a millisecond, so ask once a second, not for each frame."""
        with self._lock:
            now = self._clock()
            known = [stage for stage in STAGES if stage in self._stages]
            others = [stage for stage in self._stages if stage not in STAGES]
            times = {stage: self._stages[stage].values() for stage in (*known, *others)}
            seconds, frames, detections = now - self._started, self._frames, self._detections
            fps = self._fps(now)
        return StatsSnapshot(
            seconds,
            frames,
            detections,
            fps,
            {stage: quantiles(values) for stage, values in times.items()},
            SourceCounts() if self._source is None else self._source.counts,
            *self._health.read(),
        )

    def _ring(self, stage: str) -> _RingBuffer:
        return self._stages.setdefault(stage, _RingBuffer(_REMEMBERED))

    def _fps(self, now: float) -> float | None:
        """Results after the start of the window, over its length: for a source that is silent it sinks to 0."""
        if self._frames < 2:
            return None
        times = self._times.values()
        earliest = self._first_at if self._frames <= _MOST_TIMES else float(times.min())
        start = max(earliest, now - _FPS_WINDOW_S)
        return float((times > start).sum() / (now - start)) if now > start else None


class _RingBuffer:
    """The last so many numbers."""

    def __init__(self, size: int, dtype: npt.DTypeLike = np.float32) -> None:
        self._array: npt.NDArray[np.floating[Any]] = np.zeros(size, dtype)
        self._count = 0

    def append(self, value: float) -> None:
        self._array[self._count % len(self._array)] = value
        self._count += 1

    def values(self) -> npt.NDArray[np.floating[Any]]:
        """A copy, in no order."""
        return self._array[: self._count].copy()
