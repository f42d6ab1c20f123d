"""A process that publishes events through the real emitter and publishers, to be killed or to lose its broker.

    python event_writer.py FOLDER URL PAUSE

Boxes appear and disappear in synthetic frames. Every event is written to FOLDER/events.jsonl (rotated), as a snapshot
to FOLDER/snapshots and, through the spool in FOLDER, to the broker. SIGTERM ends the process when the broker has
acknowledged every event. PAUSE is the time between frames in seconds.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from event_factory import result

from device_apps.events.emitter import EventEmitter
from device_apps.events.jsonl import open_json_lines
from device_apps.events.mqtt.address import parse_address
from device_apps.events.mqtt.connection import MqttConnectOptions
from device_apps.events.mqtt.event_publisher import MqttEventPublisher
from device_apps.events.snapshot_store import SnapshotStore
from device_apps.events.spool import Spool
from device_apps.events.tracker import Tracker
from edge_ssd.console.logs import log_to_stderr

OBJECTS = 8
SIZE = (240, 320)
FILE_BYTES = 20_000  # Small, so that files are rotated while the process is killed.


def main(folder: Path, url: str, pause: float) -> None:
    spool = Spool(folder / "spool.sqlite", max_messages=10**6, max_bytes=10**9)
    mqtt = MqttEventPublisher(
        MqttConnectOptions(parse_address(url), None, None, "writer"),
        spool,
        labels=("banana", "apple"),
        discovery_prefix="homeassistant",
        retry_seconds=(0.05, 0.3),
    )
    jsonl = open_json_lines(str(folder / "events.jsonl"), FILE_BYTES, 10**4)
    snapshots = SnapshotStore(folder / "snapshots", 10**9)
    # One frame without a detection is enough to leave.
    emitter = EventEmitter([jsonl, mqtt], tracker=Tracker(0.0, 0.0), snapshots=snapshots)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    frame = 0
    with emitter:
        while not stop.is_set():
            # Object k is present for three frames of every five, each at another time.
            present = [k for k in range(OBJECTS) if (frame + k) % 5 < 3]
            objects = [(k % 2, (10.0 + 35 * k, 20.0, 40.0 + 35 * k, 80.0)) for k in present]
            emitter.write(result(0.0, frame, *objects, size=SIZE, media_time=frame / 10))
            if frame == 0:
                print("running", flush=True)
            frame += 1
            time.sleep(pause)
        emitter.write(result(0.0, frame, size=SIZE, media_time=frame / 10))  # Every object leaves.
        for publisher in (jsonl, mqtt):
            publisher.close(time.monotonic() + 60)


if __name__ == "__main__":
    with log_to_stderr(logging.INFO):
        main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
