"""Time of zones for each frame, with and without objects: ``python tests/benchmarks/zones.py``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from device_apps.events.tracker import Tracker
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.masking import hide
from device_apps.zones.monitor import ZoneMonitor
from edge_ssd.runtime.detections import Detections

SIZE = (480, 640)
FRAMES = 2000


def tables(zones: int, lines: int) -> dict[str, list[dict[str, object]]]:
    """Zones of six corners, and lines, side by side."""
    corners = [(0.0, 0.1), (0.7, 0.0), (1.0, 0.3), (0.9, 0.9), (0.4, 1.0), (0.1, 0.6)]
    return {
        "zones": [{"name": f"zone {i}", "points": [[(x + i) / zones, y] for x, y in corners]} for i in range(zones)],
        "lines": [
            {"name": f"line {i}", "points": [[0, (i + 0.5) / lines], [1, (i + 0.5) / lines]]} for i in range(lines)
        ],
    }


def frames(objects: int) -> list[Detections]:
    """Objects that walk through the image."""
    rng = np.random.default_rng(0)
    at, step = rng.uniform(0, 400, (objects, 2)), rng.normal(0, 1.5, (objects, 2))
    found = []
    for _ in range(FRAMES):
        at = at + step
        step = np.where((at < 0) | (at > 400), -step, step)
        boxes = np.concatenate([at, at + 40], 1).astype(np.float32)
        names = ["banana"] * objects
        found.append(Detections(boxes, np.full(objects, 0.9, np.float32), np.zeros(objects, np.int64), names, SIZE))
    return found


def measure(zones: int, lines: int, objects: int) -> tuple[float, float]:
    """Return the median microseconds of the tracker and of the monitor for a frame."""
    active = ActiveZones(None, tables(zones, lines))
    active.check(["banana"])
    assert not active.problems, active.problems
    tracker, monitor = Tracker(0.2, 1.0, kind="motion"), ZoneMonitor(active, ["banana"])
    times = []
    for number, found in enumerate(frames(objects)):
        start = time.perf_counter()
        changes = tracker.update(found, number / 30)
        tracked = time.perf_counter()
        for track in changes.left:
            monitor.remove(track)
        monitor.update(tracker.tracks, number / 30, SIZE)
        times.append((tracked - start, time.perf_counter() - tracked))
    tracking, watching = np.median(times[100:], 0) * 1e6
    return float(tracking), float(watching)


def main() -> None:
    print("zones lines objects  tracker µs  zones µs")
    for zones, lines in ((0, 0), (1, 1), (4, 2), (20, 10)):
        for objects in (0, 1, 5, 20):
            tracking, watching = measure(zones, lines, objects)
            print(f"{zones:5d} {lines:5d} {objects:7d}  {tracking:10.0f}  {watching:8.1f}")
    masks = ActiveZones(None, {"masks": [{"points": [[0, 0], [0.5, 0], [0.3, 0.5], [0, 0.5]]}]}).shapes.masks
    for height, width in ((256, 256), (480, 640), (1080, 1920)):
        image = np.zeros((height, width, 3), np.uint8)
        hide(image, masks)
        times = []
        for _ in range(100):
            start = time.perf_counter()
            hide(image, masks)
            times.append(time.perf_counter() - start)
        print(f"a mask of {width}×{height}: {np.median(times) * 1e6:.0f} µs")


if __name__ == "__main__":
    main()
