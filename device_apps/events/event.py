"""Event of an object: it entered or left the view or a zone, or crossed a line; the interface of the publishers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from edge_ssd.console.text import utf8_text
from edge_ssd.errors import EdgeSSDError

__all__ = ["EVENT_KINDS", "Event", "EventKind", "EventPublisher", "LeaveReason"]

EventKind = Literal["enter", "leave", "zone_enter", "zone_leave", "line_cross"]
EVENT_KINDS: tuple[EventKind, ...] = ("enter", "leave", "zone_enter", "zone_leave", "line_cross")
LeaveReason = Literal["unseen", "end"]


@dataclass(frozen=True)
class Event:
    """Event of an object that entered or left the view or a zone, or crossed a line.

    Attributes:
        run: id of the run of the program; every start has a new one.
        number: count of the event in the run, from 1.
        object_id: count of the object in the run, from 1; the same in all events of an object.
        score, box: of the last detection of the object; the box is (xmin, ymin, xmax, ymax) in pixels of that frame.
        time: when the event was decided, UTC.
        source, sequence: name of the source, and sequence number of the latest frame.
        duration_s: of a "leave": seconds from the first to the last detection; otherwise None.
        reason: of a "leave": "unseen", or "end" when the program ended first; otherwise None.
        snapshot: the file that the annotated frame is saved to, or None.
        clip: the video that shows the event, complete some time later, or None.
        zone: name of the zone of a "zone_enter" or "zone_leave"; otherwise None.
        dwell_s: of a "zone_leave": seconds from the first to the last detection inside; otherwise None.
        page: URL of the web page, without its last "/", which the links of the event begin with; None for no links.
        camera: name of the camera that saw it, if it is one of several; otherwise None.
        line, direction: of a "line_cross": name of the line, and "in" or "out"; otherwise None.
    """

    run: str
    number: int
    kind: EventKind
    object_id: int
    label: str
    class_id: int
    score: float
    box: tuple[float, float, float, float]
    time: datetime
    source: str
    sequence: int
    duration_s: float | None = None
    reason: LeaveReason | None = None
    snapshot: Path | None = None
    clip: Path | None = None
    zone: str | None = None
    dwell_s: float | None = None
    line: str | None = None
    direction: Literal["in", "out"] | None = None
    page: str | None = None
    camera: str | None = None

    @property
    def id(self) -> str:
        """Unique among all events of all runs; identifies an event that is delivered twice."""
        return f"{self.run}-{self.number}"

    def to_dict(self) -> dict[str, Any]:
        """Return the event in plain JSON types, without the fields that are None."""
        optional = {
            "duration_s": None if self.duration_s is None else round(self.duration_s, 3),
            "reason": self.reason,
            "zone": self.zone,
            "dwell_s": None if self.dwell_s is None else round(self.dwell_s, 3),
            "line": self.line,
            "direction": self.direction,
            "snapshot": None if self.snapshot is None else utf8_text(str(self.snapshot)),
            "clip": None if self.clip is None else utf8_text(str(self.clip)),
            "snapshot_url": self._url("snapshot.jpg") if self.snapshot is not None else None,
            "clip_url": self._url("clip.webm") if self.clip is not None else None,
        }
        return {
            **({} if self.camera is None else {"camera": self.camera}),
            "id": self.id,
            "kind": self.kind,
            "object_id": self.object_id,
            "label": self.label,
            "class_id": self.class_id,
            "score": round(self.score, 4),
            "box": [round(value, 2) for value in self.box],
            "time": self.time.isoformat(timespec="milliseconds"),
            "source": utf8_text(self.source),
            "sequence": self.sequence,
            **{name: value for name, value in optional.items() if value is not None},
        }

    def _url(self, name: str) -> str | None:
        return None if self.page is None else f"{self.page}/api/events/{self.id}/{name}"


class ClipSource(Protocol):
    """Interface of what records clips of events."""

    def clip_for(self, event: Event, at: float, *, begin: bool = True) -> Path | None:
        """Return the clip that shows an event of a frame of this stream time, without blocking.

        If none is recorded, ``begin`` is whether one begins; without, the result is None then.
        """

    def find(self, name: str) -> Path | None:
        """Return the path of a complete clip, or None; any thread may call it."""

    def is_recording(self, name: str) -> bool:
        """Return whether the clip of this name is not complete yet; any thread may call it."""


class EventPublisher(Protocol):
    """Interface of a publisher of events, to a file, a broker or a pin.

    Attributes:
        lost: number of events that could not be kept.
        failure: the error that should end the loop, or None.
    """

    @property
    def name(self) -> str: ...
    @property
    def lost(self) -> int: ...
    @property
    def failure(self) -> BrokenPipeError | EdgeSSDError | None: ...

    def publish(self, event: Event) -> None:
        """Publish or queue an event, without blocking."""

    def close(self, deadline: float) -> None:
        """Publish what is queued and close by ``deadline`` (``time.monotonic()``); further calls do nothing."""
