"""What the endpoints of events need of their history, their files and the images to train on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

__all__ = ["ClipFiles", "EventRecords", "FrameCollector", "SnapshotFiles", "Verdict", "file_name"]

Verdict = Literal["right", "wrong"]


class EventRecords(Protocol):
    """The events of :class:`~device_apps.events.history.EventHistory`, in JSON types."""

    @property
    def max_events(self) -> int: ...
    def get(self, event_id: str) -> dict[str, Any] | None: ...
    def select(
        self,
        *,
        label: str | None = None,
        zone: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> tuple[list[dict[str, Any]], bool]: ...
    def update(self, event_id: str, **fields: Any) -> dict[str, Any] | None: ...
    def names(self) -> dict[str, list[str]]: ...


class SnapshotFiles(Protocol):
    """The folder of snapshots, which finds a file that it has written, and knows those that it will write."""

    def find(self, name: str, *, clean: bool = False) -> Path | None: ...
    def is_waiting(self, name: str) -> bool: ...


class ClipFiles(Protocol):
    """The folder of clips, which finds a complete one by its name."""

    def find(self, name: str) -> Path | None: ...
    def is_recording(self, name: str) -> bool: ...


class FrameCollector(Protocol):
    """What keeps images to train on, with the verdicts on their detections."""

    def judge(self, jpeg: bytes, verdict: Verdict | None) -> str | None: ...


def file_name(record: dict[str, Any], field: str) -> str:
    """Return the name of the file that a field of an event has the path of; "" without one."""
    return Path(record.get(field, "")).name
