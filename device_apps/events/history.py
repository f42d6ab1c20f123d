"""History of the latest events, to look at them later; kept over restarts in a file, if there is one."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from device_apps.background_writer import BackgroundWriter
from device_apps.events.event_payload import is_event_payload
from device_apps.events.rotating_file import RotatingFile
from edge_ssd.console.json_output import json_text
from edge_ssd.errors import EdgeSSDError

__all__ = ["EventHistory"]

_QUEUE_CAPACITY = 1000  # Lines that wait for a slow disk.
# Two files hold more than the events that are kept.
_MAX_BYTES, _BACKUP_COUNT = 1024 * 1024, 1
_TEXTS = ("zone", "line", "snapshot", "clip")
_UPDATES: dict[str, tuple[type, ...]] = {
    "best_score": (float,),
    "verdict": (str, type(None)),
    "collected": (str, type(None)),
    "snapshot": (type(None),),
    "snapshot_url": (type(None),),
    "snapshot_lost": (bool,),
}


class _Recordable(Protocol):
    @property
    def id(self) -> str: ...
    def to_dict(self) -> dict[str, Any]: ...


class _Entry(NamedTuple):
    record: dict[str, Any]
    time: datetime


class EventHistory:
    """The latest events as JSON types, with what became known of them later; thread-safe, a publisher of events.

    Args:
        file: keeps them over restarts; two files of a megabyte. None keeps them in memory only.
        max_events: maximum number; the oldest are forgotten.

    Raises:
        EdgeSSDError: the file cannot be written.
    """

    def __init__(self, file: Path | None = None, max_events: int = 2000) -> None:
        self.name = "history" if file is None else str(file)
        self.max_events = max_events
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}  # by id, oldest first
        self._writer: BackgroundWriter[str] | None = None
        self._file: RotatingFile | None = None
        if file is not None:
            self._file = RotatingFile(file, _MAX_BYTES, _BACKUP_COUNT)
            for line in _lines(file):
                self._read(line)
            self._writer = BackgroundWriter(self.name, self._file.write, _QUEUE_CAPACITY)

    @property
    def lost(self) -> int:
        return 0 if self._writer is None else self._writer.lost

    @property
    def failure(self) -> BrokenPipeError | EdgeSSDError | None:
        return None if self._writer is None else self._writer.failure

    def publish(self, event: _Recordable) -> None:
        """Add an event."""
        record = event.to_dict()
        with self._lock:
            self._add(event.id, record)
        self._write(record)

    def update(self, event_id: str, **fields: Any) -> dict[str, Any] | None:
        """Set fields of an event and return it; None if it is not known any more.

        The fields are ``best_score``, ``verdict`` and ``collected``, and of a snapshot that could not be written
        ``snapshot`` and ``snapshot_url``, which are None, and ``snapshot_lost``; None removes a field.
        """
        with self._lock:
            if event_id not in self._entries:
                return None
            record = self._update(event_id, fields)
        self._write({"id": event_id, "update": fields})
        return record

    def get(self, event_id: str) -> dict[str, Any] | None:
        """Return an event, or None if it is not known."""
        with self._lock:
            entry = self._entries.get(event_id)
        return None if entry is None else entry.record

    def select(
        self,
        *,
        label: str | None = None,
        zone: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> tuple[list[dict[str, Any]], bool]:
        """Return the newest events that match, newest first, and whether there are more; None matches all.

        Args:
            label: class of the object.
            zone: name of a zone or line.
            since, until: first time, and the time before which an event was; with a time zone.
            before: id of an event; only older ones match.
            limit: maximum number.
        """
        with self._lock:
            entries = list(reversed(self._entries.items()))
        if before is not None:
            position = next((i for i, (event_id, _) in enumerate(entries) if event_id == before), len(entries))
            entries = entries[position + 1 :]
        matching = (
            record
            for _, (record, time) in entries
            if label in (None, record["label"])
            and zone in (None, record.get("zone"), record.get("line"))
            and (since is None or time >= since)
            and (until is None or time < until)
        )
        found = list(islice(matching, limit + 1))
        return found[:limit], len(found) > limit

    def names(self) -> dict[str, list[str]]:
        """Return the "labels" and the "zones" (and lines) of all events, sorted."""
        with self._lock:
            records = [entry.record for entry in self._entries.values()]
        zones = {record.get("zone") or record.get("line") for record in records} - {None}
        return {"labels": sorted({record["label"] for record in records}), "zones": sorted(map(str, zones))}

    def close(self, deadline: float) -> None:
        """Write the queued events until ``deadline`` (``time.monotonic()``)."""
        if self._writer is not None and self._file is not None and self._writer.close(deadline):
            self._file.close()

    def _add(self, event_id: str, record: dict[str, Any]) -> None:
        self._entries[event_id] = _Entry(record, _parse_time(record["time"]))
        while len(self._entries) > self.max_events:
            del self._entries[next(iter(self._entries))]

    def _update(self, event_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the record of an event: those that were returned before do not change."""
        entry = self._entries[event_id]
        merged = {**entry.record, **fields}
        record = {name: value for name, value in merged.items() if value is not None}
        self._entries[event_id] = _Entry(record, entry.time)
        return record

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._writer is not None:
            self._writer.put(json_text(line))

    def _read(self, line: bytes) -> None:
        """Add what a line of the file says; one that is damaged is left out."""
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
            record = json.loads(line)
            if isinstance(record.get("update"), dict):
                if record["id"] in self._entries and all(map(_is_update, record["update"].items())):
                    self._update(record["id"], record["update"])
            elif is_event_payload(line) and all(isinstance(record.get(name, ""), str) for name in _TEXTS):
                self._add(record["id"], record)


def _lines(file: Path) -> Iterator[bytes]:
    """Yield the lines of the older files and of ``file``, in order."""
    for number in range(_BACKUP_COUNT, -1, -1):
        path = file.with_name(f"{file.name}.{number}") if number else file
        with contextlib.suppress(OSError), path.open("rb") as stream:
            yield from stream.read(2 * _MAX_BYTES).splitlines()


def _is_update(item: tuple[str, Any]) -> bool:
    return isinstance(item[1], _UPDATES.get(item[0], ()))


def _parse_time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)
