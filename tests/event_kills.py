"""Killing brokers and killing ourselves while events are written, and counting what is left.

Used by the tests with few kills and by ``benchmarks/event_kills.py`` with many.
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

from event_parts import soon
from mqtt_broker import Mosquitto, Observer, free_port
from PIL import Image

WRITER = Path(__file__).resolve().parent / "event_writer.py"
TOPIC = "edge-ssd/events"


@dataclass
class Delivery:
    """What arrived at a subscriber, of what was published, while the broker was killed.

    Attributes:
        published: ids in the order in which they were published.
        arrived: ids in the order in which they arrived, repetitions included.
        lost: published and never arrived.
        disorder: times that an object's event arrived after a later one of the same object.
        kills: of the broker.
        seconds: that it all took.
    """

    published: list[str]
    arrived: list[str]
    disorder: int
    kills: int
    seconds: float

    @property
    def lost(self) -> set[str]:
        return set(self.published) - set(self.arrived)


@dataclass
class Remains:
    """What killed processes left.

    Attributes:
        kills: how many were killed.
        lines: that were finished, in all files; bad_lines: not JSON, or with a gap before them.
        torn: kills that left half a line at the very end of the newest file, which the next start cuts off: had it not,
            it would be followed by other lines and count as bad.
        pictures: under their final names; bad_pictures: that cannot be decoded whole.
        unfinished: temporary pictures left by kills; left_over: of those, still there after the next start.
        spooled: messages; bad_spools: times that the spool failed its integrity check, or had a gap.
    """

    kills: int = 0
    lines: int = 0
    bad_lines: int = 0
    torn: int = 0
    pictures: int = 0
    bad_pictures: int = 0
    unfinished: int = 0
    left_over: int = 0
    spooled: int = 0
    bad_spools: int = 0
    notes: list[str] = field(default_factory=list)


def kill_brokers(folder: Path, kills: int, events: int) -> Delivery:
    """Kill a Mosquitto (persistence off) ``kills`` times while at least ``events`` events are published.

    A broker without persistence forgets what it has acknowledged and not yet passed on, and passes on nothing to
    subscribers that are not there. Neither is the publisher's doing, so both are kept out of the count: Mosquitto
    writes to its subscribers before it acknowledges, and after a kill the publisher is held (SIGSTOP) until the
    subscriber has subscribed again. What remains is everything else: messages on their way, acknowledgements on
    their way back, connections cut at any byte.
    """
    broker_folder = folder / "broker"
    broker_folder.mkdir()
    start = time.monotonic()
    arrived: list[str] = []
    with Mosquitto(broker_folder) as broker:
        observer = Observer(broker.port, TOPIC)
        command = [sys.executable, str(WRITER), str(folder), f"mqtt://127.0.0.1:{broker.port}", "0.002"]
        writer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for kill in range(1, kills + 1):
                _wait_for(events * kill // (kills + 1), arrived, observer)
                time.sleep(random.uniform(0, 0.03))  # At any moment, not only when a goal is reached.
                broker.kill()
                writer.send_signal(signal.SIGSTOP)
                assert observer.gone.wait(60)
                with observer:
                    arrived += _ids(observer)
                broker.start()
                observer = Observer(broker.port, TOPIC)
                writer.send_signal(signal.SIGCONT)
            _wait_for(events, arrived, observer)
            writer.terminate()
            assert writer.wait(120) == 0
        finally:
            writer.kill()
            writer.wait()
        lines = _lines(folder)
        published = [line["id"] for line in lines]
        end = time.monotonic() + 10
        while time.monotonic() < end and not set(published) <= {*arrived, *_ids(observer)}:
            time.sleep(0.01)
        with observer:
            arrived += _ids(observer)
    objects = {line["id"]: line["object_id"] for line in lines}
    numbers: dict[int, list[int]] = defaultdict(list)
    for event_id in arrived:
        numbers[objects[event_id]].append(int(event_id.rpartition("-")[2]))
    disorder = sum(later < earlier for row in numbers.values() for earlier, later in pairwise(row))
    return Delivery(published, arrived, disorder, kills, time.monotonic() - start)


def kill_writers(folder: Path, kills: int) -> Remains:
    """Kill a process (SIGKILL) ``kills`` times while it writes events, pictures and its spool, at random moments."""
    remains = Remains()
    url = f"mqtt://127.0.0.1:{free_port()}"  # Nobody there: everything stays in the spool.
    for _ in range(kills):
        writer = subprocess.Popen(
            [sys.executable, str(WRITER), str(folder), url, "0.001"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "running\n"
        if remains.kills % 2:  # However slow the machine, every second one is killed in the thick of it.
            before = _finished_pictures(folder)
            soon(lambda before=before: _finished_pictures(folder) > before)
        time.sleep(random.uniform(0.02, 0.4))
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        remains.kills += 1
        remains.torn += _torn(folder) > 0
        unfinished = list((folder / "pictures").glob(".event-*"))
        own = [path for path in unfinished if f".{writer.pid}-" in path.name]
        remains.unfinished += len(own)
        remains.left_over += len(unfinished) - len(own)
        remains.bad_spools += not _spool_is_sound(folder)
    _count_lines(folder, remains)
    for path in (folder / "pictures").glob("event-*.jpg"):
        remains.pictures += 1
        remains.bad_pictures += not _decodes(path)
    with sqlite3.connect(folder / "spool.sqlite") as db:
        payloads = [row[0] for row in db.execute("SELECT payload FROM messages ORDER BY id")]
    db.close()
    remains.spooled = len(payloads)
    remains.bad_spools += _gaps([json.loads(payload)["id"] for payload in payloads])
    return remains


def _wait_for(number: int, before: list[str], observer: Observer) -> None:
    """Wait until so many different events have arrived, over this connection and those before."""
    soon(lambda: len({*before, *_ids(observer)}) >= number, 120)


def _ids(observer: Observer) -> list[str]:
    return [json.loads(payload)["id"] for payload in observer.of(TOPIC)]


def _files(folder: Path) -> list[Path]:
    """The files of events, oldest first."""
    older = sorted(folder.glob("events.jsonl.*"), key=lambda path: -int(path.suffix[1:]))
    return [*older, folder / "events.jsonl"]


def _lines(folder: Path) -> list[dict]:
    return [json.loads(line) for path in _files(folder) for line in path.read_text().splitlines()]


def _count_lines(folder: Path, remains: Remains) -> None:
    found: list[str] = []
    files = _files(folder)
    for path in files:
        *lines, rest = path.read_bytes().split(b"\n")
        if rest and path != files[-1]:
            remains.bad_lines += 1
        for line in lines:
            remains.lines += 1
            try:
                found.append(json.loads(line)["id"])
            except ValueError:
                remains.bad_lines += 1
                remains.notes.append(f"{path.name}: {line!r}")
    remains.bad_lines += _gaps(found)


def _gaps(ids: list[str]) -> int:
    """How often the numbers of a run do not go on as 1, 2, 3, …"""
    last: dict[str, int] = {}
    gaps = 0
    for event_id in ids:
        run, _, number = event_id.partition("-")
        gaps += int(number) != last.get(run, 0) + 1
        last[run] = int(number)
    return gaps


def _torn(folder: Path) -> int:
    data = (folder / "events.jsonl").read_bytes()
    return len(data) - (data.rfind(b"\n") + 1)


def _finished_pictures(folder: Path) -> int:
    return len(list((folder / "pictures").glob("event-*.jpg")))


def _decodes(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            picture.load()
            return picture.size == (320, 240)
    except OSError:
        return False


def _spool_is_sound(folder: Path) -> bool:
    with sqlite3.connect(folder / "spool.sqlite") as db:
        sound = db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()
    return sound
