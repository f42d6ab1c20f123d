"""Count the objects that cross a line, in a recording, a camera or a stream.

pip install "edge-ssd[device,camera]"
python count_over_line.py bananas.mp4 --line 0,0.6 1,0.6
"""

import argparse
import sys
from collections import Counter

from device_apps.events.tracker import Tracker
from device_apps.sources.open_source import open_source
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.monitor import ZoneChange, ZoneMonitor
from edge_ssd import Detector, EdgeSSDError


def point(text: str) -> list[float]:
    x, y = text.split(",")
    return [float(x), float(y)]


def count(model: str, source: str, line: list[list[float]], classes: list[str] | None) -> None:
    zones = ActiveZones(tables={"lines": [{"name": "line", "points": line}]})
    if zones.problems:
        sys.exit(zones.problems[0])
    # An object counts after half a second in view, so that a false alarm in one frame does not. The tracker predicts
    # motion: an object that jumps over the line between two frames has crossed it.
    tracker = Tracker(enter_after=0.5, leave_after=2.0, kind="motion")
    totals: Counter[tuple[str, str]] = Counter()

    def report(changes: list[ZoneChange], time: float) -> None:
        for change in changes:
            totals[change.track.label, change.direction] += 1
            print(f"{time:6.1f} s  {change.track.label} {change.track.object_id} {change.direction}", flush=True)

    with Detector(model, classes=classes) as detector, open_source(source) as frames:
        monitor = ZoneMonitor(zones, detector.labels)
        for frame in frames:
            # frame.pixels may be a smaller image than the frame; boxes are in pixels of the frame.
            detections = detector.detect(frame.pixels, image_size=frame.size)
            # In a recording, seconds of its own clock: the counts do not depend on how fast this machine is.
            time = frame.stream_time
            left = tracker.update(detections, time).left
            report(monitor.update(tracker.tracks, time, frame.size), time)
            for track in left:  # If it left the view near the line, its crossing counts now.
                report(monitor.remove(track), time)
        for track in tracker.clear():
            report(monitor.remove(track), time)
    for label in sorted({label for label, _ in totals} or detector.labels):
        print(f"{label}: {totals[label, 'in']} in, {totals[label, 'out']} out")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a recording, the index of a webcam, picamera, or a URL")
    parser.add_argument("--model", default="nano", help="a .tflite file of edge-ssd, or a shipped model (%(default)s)")
    parser.add_argument("--classes", nargs="+", help="labels to count (all)")
    parser.add_argument(
        "--line",
        nargs=2,
        type=point,
        metavar="X,Y",
        default=[[0.0, 0.5], [1.0, 0.5]],
        help="its ends, 0-1 of the image from the upper left corner; seen from the first towards the second, objects "
        "that go from left to right count as in (from 0,0.5 to 1,0.5: downwards)",
    )
    arguments = parser.parse_args()
    try:
        count(arguments.model, arguments.source, arguments.line, arguments.classes)
    except EdgeSSDError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(0)
