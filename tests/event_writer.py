"""A process that publishes events through the real sink and channels, to be killed or to lose its broker.

    python event_writer.py FOLDER URL PACE

Boxes come and go in made-up frames; every change is an event, written to FOLDER/events.jsonl (several files), to
pictures in FOLDER/pictures and, through the spool in FOLDER, to the broker. SIGTERM ends it, when the broker has
everything. PACE is the seconds between frames.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from event_parts import result

from device_apps.arguments import tell
from device_apps.events.emitter import EventEmitter
from device_apps.events.jsonl_file import open_event_lines
from device_apps.events.mqtt_address import parse_address
from device_apps.events.mqtt_events import MqttEvents
from device_apps.events.mqtt_session import MqttConnectOptions
from device_apps.events.snapshots import EventSnapshots
from device_apps.events.spool import Spool
from device_apps.events.tracker import Tracker

OBJECTS = 8
SIZE = (240, 320)
FILE_BYTES = 20_000  # Small, so that files change while the process is killed.


def main(folder: Path, url: str, pace: float) -> None:
    spool = Spool(folder / "spool.sqlite", max_messages=10**6, max_bytes=10**9, notice=tell)
    broker = MqttEvents(
        MqttConnectOptions(parse_address(url), None, None, "writer"),
        spool,
        labels=("banana", "apple"),
        discovery_prefix="homeassistant",
        notice=tell,
        delays=(0.05, 0.3),
    )
    lines = open_event_lines(str(folder / "events.jsonl"), FILE_BYTES, 10**4, tell)
    pictures = EventSnapshots(folder / "pictures", 10**9, tell)
    # At ten frames a second, one frame of absence is enough to leave.
    sink = EventEmitter([lines, broker], tracker=Tracker(0.0, 0.05), pictures=pictures, fps=10.0)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    frame = 0
    with sink:
        while not stop.is_set():
            # Object k is there for three frames of every five, each at another time.
            there = [(k % 2, (10.0 + 35 * k, 20.0, 40.0 + 35 * k, 80.0)) for k in range(OBJECTS) if (frame + k) % 5 < 3]
            sink.write(result(0.0, frame, *there, size=SIZE))
            if frame == 0:
                print("running", flush=True)
            frame += 1
            time.sleep(pace)
        sink.write(result(0.0, frame, size=SIZE))  # Everything leaves.
        assert not sink._tracker.present
        while len(spool) or lines._worker._queue.qsize() or broker._worker._queue.qsize():
            time.sleep(0.01)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
