"""Statistics of a running loop as text or JSON, printed periodically."""

from __future__ import annotations

import logging
import sys
import threading

from device_apps.daemon_thread import DaemonThread
from device_apps.stats import Stats, StatsSnapshot
from edge_ssd.console.counts import count
from edge_ssd.console.json_output import print_json

__all__ = ["StatsReport", "format_stats"]

_log = logging.getLogger(__name__)


def format_stats(snapshot: StatsSnapshot, fps: float | None) -> str:
    """Format a snapshot as one line, without counts that are zero and values that are unknown.

    ``fps`` is the frame rate to show, that of the snapshot or of the whole run; None shows none.
    """
    source = snapshot.source
    parts = [count(snapshot.frames, "frame")]
    if fps is not None:
        parts.append(f"{fps:.1f} fps")
    if snapshot.still_frames:
        parts.append(f"{snapshot.still_frames} still")
    parts.append(f"{source.dropped} dropped")
    counts = (("stall", source.stalls), ("reconnect", source.reconnects), ("abandoned thread", source.abandoned))
    parts += [count(number, name) for name, number in counts if number]
    if not source.connected:
        parts.append("not connected")
    parts.append(count(snapshot.detections, "detection"))
    if snapshot.stages:
        times = [f"{stage} {quantiles.p50:.1f}/{quantiles.p95:.1f}" for stage, quantiles in snapshot.stages.items()]
        parts.append(f"ms p50/p95: {', '.join(times)}")
    if snapshot.memory_bytes is not None:
        parts.append(f"{snapshot.memory_bytes / 1e6:.0f} MB")
    if snapshot.temperature_c is not None:
        parts.append(f"{snapshot.temperature_c:.0f} °C")
    if snapshot.throttled:
        parts.append(snapshot.throttled)
    return "; ".join(parts)


class StatsReport:
    """Thread that logs ``stats`` every ``seconds``, or prints them as JSON on stderr (``as_json``); a context manager.

    With ``name``, that of one of several cameras, each line says which it is about.

    A thread, so that they are also printed while the loop waits, and the loop never waits for the output.
    """

    def __init__(self, stats: Stats, seconds: float, *, as_json: bool, name: str = "") -> None:
        self._stats = stats
        self._seconds = seconds
        self._as_json = as_json
        self._name = name
        self._stop = threading.Event()
        self._thread = DaemonThread(self._run, "stats")

    def __enter__(self) -> StatsReport:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            snapshot = self._stats.snapshot()
            if self._as_json:
                print_json(({"camera": self._name} if self._name else {}) | snapshot.to_dict(), sys.stderr)
            else:
                _log.info("%s%s", f"{self._name}: " if self._name else "", format_stats(snapshot, snapshot.fps))
