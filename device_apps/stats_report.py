"""Numbers of a running loop for those who read logs: one line now and then."""

from __future__ import annotations

import json
import sys
import threading
from types import TracebackType

from device_apps.stats import Stats, StatsSnapshot

__all__ = ["StatsReport", "describe"]


def describe(snapshot: StatsSnapshot, fps: float | None) -> str:
    """A snapshot in one line; counts that are nought, and what the machine does not tell, are left out."""
    source = snapshot.source
    parts = [f"{snapshot.frames} frames"]
    if fps is not None:
        parts.append(f"{fps:.1f} a second")
    parts.append(f"{source.dropped} dropped")
    counts = (("stalls", source.stalls), ("reconnects", source.reconnects), ("threads left behind", source.abandoned))
    parts += [f"{number} {what}" for what, number in counts if number]
    if not source.connected:
        parts.append("no connection")
    parts.append(f"{snapshot.detections} detections")
    if snapshot.stages:
        times = [f"{stage} {both.p50:.1f}/{both.p95:.1f}" for stage, both in snapshot.stages.items()]
        parts.append(f"ms p50/p95: {', '.join(times)}")
    if snapshot.memory_bytes is not None:
        parts.append(f"{snapshot.memory_bytes / 1e6:.0f} MB")
    if snapshot.temperature_c is not None:
        parts.append(f"{snapshot.temperature_c:.0f} °C")
    if snapshot.throttled:
        parts.append(snapshot.throttled)
    return "; ".join(parts)


class StatsReport:
    """A thread that says the numbers on standard error every so many seconds, while it is entered.

    A thread, so that the numbers come also while the loop waits, and the loop never waits for them.

    Args:
        stats: to read.
        seconds: between two lines.
        as_json: lines of JSON, see :meth:`Snapshot.to_dict`, instead of words.
    """

    def __init__(self, stats: Stats, seconds: float, *, as_json: bool) -> None:
        self._stats = stats
        self._seconds = seconds
        self._as_json = as_json
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stats", daemon=True)

    def __enter__(self) -> StatsReport:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            snapshot = self._stats.snapshot()
            line = json.dumps(snapshot.to_dict()) if self._as_json else f"edge-ssd: {describe(snapshot, snapshot.fps)}"
            print(line, file=sys.stderr, flush=True)
