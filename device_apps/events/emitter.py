"""Something came, something went: events from the detections of a stream, for whoever wants to know.

Each event is handed to *channels*: a file, a broker, pins, a picture folder, a web page. A channel is quick to take
it (what is slow happens in its own thread), and is closed within a time limit at the end.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from device_apps.events.tracker import Track, Tracker
from device_apps.results import FrameResult
from device_apps.sources.frames import Frame

__all__ = ["Event", "EventEmitter", "EventPublisher", "SnapshotStore"]

_REMEMBERED = 100  # Events that are kept for the web page.
_FLUSH_S = 1.0  # All channels together, at the end: a service is to be gone two seconds after SIGTERM.


@dataclass(frozen=True)
class Event:
    """An object entered or left.

    Attributes:
        run: of the program; a new one each time it starts.
        number: of the event in the run, from 1.
        kind: "enter" or "leave".
        object_id: whole, from 1, the same in both events of an object; unique in the run.
        label, class_id: what it is.
        score, box: of the last time that it was seen; the box in pixels of that frame.
        time: when this was decided, UTC.
        source: the name of the frame.
        sequence: of the last frame by then, in the source's count.
        duration_s: on leaving, from the first time that it was seen to the last; None on entering.
        reason: on leaving, "unseen", or "end" when the program ended before; None on entering.
        snapshot: the file that the picture is written to, or None.
    """

    run: str
    number: int
    kind: Literal["enter", "leave"]
    object_id: int
    label: str
    class_id: int
    score: float
    box: tuple[float, float, float, float]
    time: datetime
    source: str
    sequence: int
    duration_s: float | None = None
    reason: Literal["unseen", "end"] | None = None
    snapshot: Path | None = None

    @property
    def id(self) -> str:
        """Unique among all events of all runs: who gets an event twice can tell by it."""
        return f"{self.run}-{self.number}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the same in every channel; what an event does not have is left out."""
        values: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "object_id": self.object_id,
            "label": self.label,
            "class_id": self.class_id,
            "score": round(self.score, 4),
            "box": [round(value, 2) for value in self.box],
            "time": self.time.isoformat(timespec="milliseconds"),
            "source": self.source,
            "sequence": self.sequence,
        }
        if self.duration_s is not None:
            values["duration_s"] = round(self.duration_s, 3)
        if self.reason is not None:
            values["reason"] = self.reason
        if self.snapshot is not None:
            values["snapshot"] = str(self.snapshot)
        return values


class EventPublisher(Protocol):
    """Takes events.

    Attributes:
        name: for messages and counters.
        lost: events that it could not keep.
        failure: why the loop should end, or None.
    """

    @property
    def name(self) -> str: ...
    @property
    def lost(self) -> int: ...
    @property
    def failure(self) -> BrokenPipeError | None: ...

    def publish(self, event: Event) -> None:
        """Take an event, without waiting for anything slow."""

    def close(self, deadline: float) -> None:
        """Finish by ``deadline`` (``time.monotonic()``); further calls do nothing."""


class SnapshotStore(Protocol):
    """Keeps pictures of events; ``name``, ``lost`` and ``close`` as a :class:`EventPublisher`."""

    @property
    def name(self) -> str: ...
    @property
    def lost(self) -> int: ...

    def path_for(self, event: Event) -> Path:
        """Where the picture of an event will be."""

    def save(self, path: Path, result: FrameResult) -> None:
        """Have the annotated picture written there, without waiting for it."""

    def close(self, deadline: float) -> None: ...


class EventEmitter:
    """A sink that tracks objects and publishes their events; a context manager, at whose end every object leaves.

    Live sources are timed by their frames' capture times, and by the clock while no frame comes. A recording is timed
    by its own frames a second, so that its events do not depend on how fast it is read.

    Args:
        channels: get each event, in order; closed at the end, in order.
        tracker: holds the settings.
        pictures: where pictures of events go; None for none. Closed last.
        fps: frames a second of a recording; None for a live source.
        clock: seconds, the clock of ``Frame.captured_at``.
    """

    finished = False

    def __init__(
        self,
        channels: Sequence[EventPublisher] = (),
        *,
        tracker: Tracker | None = None,
        pictures: SnapshotStore | None = None,
        fps: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = f"{int(time.time()):x}{secrets.token_hex(4)}"
        self._channels = tuple(channels)
        self._tracker = tracker or Tracker()
        self._pictures = pictures
        self._fps = fps
        self._clock = clock
        self._number = 0
        self._last: FrameResult | None = None
        self._recent: deque[Event] = deque(maxlen=_REMEMBERED)
        self._callbacks: list[Callable[[Event], None]] = []
        self._lock = threading.Lock()  # of the two above

    @property
    def recent(self) -> deque[Event]:
        """A copy of the last events, oldest first; any thread may ask."""
        with self._lock:
            return self._recent.copy()

    @property
    def lost(self) -> dict[str, int]:
        """How many events each channel could not keep, by its name."""
        return {channel.name: channel.lost for channel in self._all()}

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Have ``callback`` called with each event from now on, in the loop's thread; it must not wait for anything.

        Returns a function that ends it.
        """
        with self._lock:
            self._callbacks.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return unsubscribe

    def write(self, result: FrameResult) -> None:
        self._fail()
        self._last = result
        at = self._time_of(result.frame)
        changes = self._tracker.update(result.detections, at)
        for track in changes.left:
            self._publish("leave", track, "unseen")
        for track in changes.entered:
            self._publish("enter", track, None)

    def idle(self) -> None:
        self._fail()
        if self._fps is None:  # The time of a recording stands still while no frame is read.
            for track in self._tracker.expire(self._clock()):
                self._publish("leave", track, "unseen")

    def __enter__(self) -> EventEmitter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = time.monotonic() + _FLUSH_S
        for track in self._tracker.clear():
            self._publish("leave", track, "end")
        for channel in self._all():
            channel.close(deadline)

    def _all(self) -> tuple[EventPublisher | SnapshotStore, ...]:
        return self._channels if self._pictures is None else (*self._channels, self._pictures)

    def _time_of(self, frame: Frame) -> float:
        return frame.captured_at if self._fps is None else frame.sequence / self._fps

    def _fail(self) -> None:
        for channel in self._channels:
            if channel.failure is not None:
                raise channel.failure

    def _publish(self, kind: Literal["enter", "leave"], track: Track, reason: Literal["unseen", "end"] | None) -> None:
        assert self._last is not None
        self._number += 1
        leaving = kind == "leave"
        event = Event(
            run=self.run,
            number=self._number,
            kind=kind,
            object_id=track.object_id,
            label=track.label,
            class_id=track.class_id,
            score=track.score,
            box=track.box,
            time=datetime.now(timezone.utc),
            source=self._last.frame.name,
            sequence=self._last.frame.sequence,
            duration_s=track.last_seen - track.first_seen if leaving else None,
            reason=reason,
        )
        if self._pictures is not None:
            path = self._pictures.path_for(event)
            self._pictures.save(path, self._last)
            event = replace(event, snapshot=path)
        with self._lock:
            self._recent.append(event)
            callbacks = tuple(self._callbacks)
        for channel in self._channels:
            channel.publish(event)
        for callback in callbacks:
            callback(event)
