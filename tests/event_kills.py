"""Kill brokers, or the writing process, while events are written, and count what is lost or damaged.

The tests use it with few kills, ``benchmarks/event_kills.py`` with many.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from clocks import wait_until
from mqtt_broker import Mosquitto, Observer, free_port
from PIL import Image

WRITER = Path(__file__).resolve().parent / "event_writer.py"
TOPIC = "edge-ssd/events"


@dataclass
class Delivery:
    """The events that a subscriber received while the broker was killed.

    Attributes:
        published: ids in the order of publication.
        received: ids in the order of arrival, including duplicates.
        lost: published and never received.
        out_of_order: number of events that arrived after a later event of the same object.
    """

    published: list[str]
    received: list[str]
    out_of_order: int
    kills: int
    seconds: float

    @property
    def lost(self) -> set[str]:
        return set(self.published) - set(self.received)


@dataclass
class KilledWriters:
    """The files that killed processes left behind.

    Attributes:
        lines: complete lines in all files; bad_lines: not JSON, or after a gap.
        incomplete_lines: kills that left an incomplete last line. The next start removes it: otherwise other lines
            would follow and it would count as bad.
        snapshots: under their final names; bad_snapshots: that cannot be decoded.
        temporary: temporary snapshots left by kills; not_deleted: those that the next start did not delete.
        spooled: messages; bad_spools: number of times that the spool failed its integrity check, or had a gap.
    """

    kills: int = 0
    lines: int = 0
    bad_lines: int = 0
    incomplete_lines: int = 0
    snapshots: int = 0
    bad_snapshots: int = 0
    temporary: int = 0
    not_deleted: int = 0
    spooled: int = 0
    bad_spools: int = 0
    notes: list[str] = field(default_factory=list)


def kill_brokers(folder: Path, kills: int, events: int) -> Delivery:
    """Kill a Mosquitto (persistence off) ``kills`` times while at least ``events`` events are published.

    A broker without persistence loses what it has acknowledged and not yet forwarded, and forwards nothing to
    subscribers that are not connected. The publisher cannot prevent either, so both are excluded: Mosquitto writes to
    its subscribers before it acknowledges, and after a kill the publisher is stopped (SIGSTOP) until the subscriber
    has subscribed again. The count covers everything else: messages and acknowledgements in flight, connections cut
    at any byte.
    """
    broker_folder = folder / "broker"
    broker_folder.mkdir()
    start = time.monotonic()
    received: list[str] = []
    with Mosquitto(broker_folder) as broker:
        observer = Observer(broker.port, TOPIC)
        command = [sys.executable, str(WRITER), str(folder), f"mqtt://127.0.0.1:{broker.port}", "0.002"]
        writer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for kill in range(1, kills + 1):
                _wait_for(events * kill // (kills + 1), received, observer)
                time.sleep(random.uniform(0, 0.03))  # At any moment, not only when the count is reached.
                broker.kill()
                writer.send_signal(signal.SIGSTOP)
                assert observer.disconnected.wait(60)
                with observer:
                    received += _ids(observer)
                broker.start()
                observer = Observer(broker.port, TOPIC)
                writer.send_signal(signal.SIGCONT)
            _wait_for(events, received, observer)
            writer.terminate()
            assert writer.wait(120) == 0
        finally:
            writer.kill()
            writer.wait()
        lines = _lines(folder)
        published = [line["id"] for line in lines]
        end = time.monotonic() + 10
        while time.monotonic() < end and not set(published) <= {*received, *_ids(observer)}:
            time.sleep(0.01)
        with observer:
            received += _ids(observer)
    object_ids = {line["id"]: line["object_id"] for line in lines}
    numbers: dict[int, list[int]] = defaultdict(list)
    for event_id in received:
        numbers[object_ids[event_id]].append(int(event_id.rpartition("-")[2]))
    out_of_order = sum(later < earlier for row in numbers.values() for earlier, later in pairwise(row))
    return Delivery(published, received, out_of_order, kills, time.monotonic() - start)


def kill_writers(folder: Path, kills: int) -> KilledWriters:
    """Kill a process (SIGKILL) ``kills`` times at random while it writes events, snapshots and its spool."""
    counts = KilledWriters()
    url = f"mqtt://127.0.0.1:{free_port()}"  # No broker listens: everything stays in the spool.
    for _ in range(kills):
        writer = subprocess.Popen(
            [sys.executable, str(WRITER), str(folder), url, "0.001"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert writer.stdout.readline() == "running\n"
        if counts.kills % 2:  # On a slow machine too, every second one is killed while it writes.
            before = _count_snapshots(folder)
            wait_until(lambda before=before: _count_snapshots(folder) > before)
        time.sleep(random.uniform(0.02, 0.4))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        counts.kills += 1
        counts.incomplete_lines += _incomplete_bytes(folder) > 0
        temporary = list((folder / "snapshots").glob(".event-*"))
        own = [path for path in temporary if f".{writer.pid}-" in path.name]
        counts.temporary += len(own)
        counts.not_deleted += len(temporary) - len(own)
        counts.bad_spools += not _is_spool_intact(folder)
    _count_lines(folder, counts)
    for path in (folder / "snapshots").glob("event-*.jpg"):
        counts.snapshots += 1
        counts.bad_snapshots += not _is_decodable(path)
    with sqlite3.connect(folder / "spool.sqlite") as db:
        payloads = [row[0] for row in db.execute("SELECT payload FROM messages ORDER BY id")]
    db.close()
    counts.spooled = len(payloads)
    counts.bad_spools += _gaps([json.loads(payload)["id"] for payload in payloads])
    return counts


def _wait_for(number: int, earlier: list[str], observer: Observer) -> None:
    """Wait until ``number`` different events have arrived, over this connection and earlier ones."""
    wait_until(lambda: len({*earlier, *_ids(observer)}) >= number, 120)


def _ids(observer: Observer) -> list[str]:
    return [json.loads(payload)["id"] for payload in observer.of(TOPIC)]


def _files(folder: Path) -> list[Path]:
    """Return the files of events, oldest first."""
    older = sorted(folder.glob("events.jsonl.*"), key=lambda path: -int(path.suffix[1:]))
    return [*older, folder / "events.jsonl"]


def _lines(folder: Path) -> list[dict]:
    return [json.loads(line) for path in _files(folder) for line in path.read_text().splitlines()]


def _count_lines(folder: Path, counts: KilledWriters) -> None:
    ids: list[str] = []
    files = _files(folder)
    for path in files:
        *lines, incomplete = path.read_bytes().split(b"\n")
        if incomplete and path != files[-1]:
            counts.bad_lines += 1
        for line in lines:
            counts.lines += 1
            try:
                ids.append(json.loads(line)["id"])
            except ValueError:
                counts.bad_lines += 1
                counts.notes.append(f"{path.name}: {line!r}")
    counts.bad_lines += _gaps(ids)


def _gaps(ids: list[str]) -> int:
    """Return how often the event numbers of a run are not consecutive from 1."""
    last: dict[str, int] = {}
    gaps = 0
    for event_id in ids:
        run, _, number = event_id.partition("-")
        gaps += int(number) != last.get(run, 0) + 1
        last[run] = int(number)
    return gaps


def _incomplete_bytes(folder: Path) -> int:
    data = (folder / "events.jsonl").read_bytes()
    return len(data) - (data.rfind(b"\n") + 1)


def _count_snapshots(folder: Path) -> int:
    return len(list((folder / "snapshots").glob("event-*.jpg")))


def _is_decodable(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
            return image.size == (320, 240)
    except OSError:
        return False


def _is_spool_intact(folder: Path) -> bool:
    with sqlite3.connect(folder / "spool.sqlite") as db:
        intact = db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    return intact
