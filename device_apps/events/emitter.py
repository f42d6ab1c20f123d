"""Emitter that turns the detections of a stream into enter and leave events."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from device_apps.events.event import ClipSource, Event, EventKind, EventPublisher, LeaveReason
from device_apps.events.snapshot_store import SnapshotStore
from device_apps.events.tracker import Track, Tracker
from device_apps.results import FrameResult
from device_apps.sources.frames import Frame

__all__ = ["EventEmitter"]

_FLUSH_SECONDS = 1.0  # For all publishers together: a service must end within two seconds after SIGTERM.


class EventEmitter:
    """Sink that tracks objects and publishes their events; a context manager, on whose exit every object leaves.

    Live sources are timed by the capture times of their frames, and by the clock while they are lost: as long as a
    camera is connected, only its frames decide, however slowly they come. A recording is timed by the times of its
    frames, so that its events do not depend on how fast it is read.

    Args:
        publishers: get each event, and are closed on exit, in this order.
        snapshots: saves the annotated frame of each event; None saves none. Closed last.
        clips: records clips of events; None for none. A sink of its own, after this one.
        connected: returns whether the source delivers frames, however slowly; True for a recording.
        clock: seconds, the clock of ``Frame.captured_at``.
    """

    finished = False

    def __init__(
        self,
        publishers: Sequence[EventPublisher] = (),
        *,
        tracker: Tracker | None = None,
        snapshots: SnapshotStore | None = None,
        clips: ClipSource | None = None,
        connected: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
        max_recent: int = 100,
    ) -> None:
        self.run = f"{int(time.time()):x}{secrets.token_hex(4)}"
        self._publishers = tuple(publishers)
        self._tracker = tracker or Tracker()
        self._snapshots = snapshots
        self._clips = clips
        self._outputs: tuple[EventPublisher | SnapshotStore, ...] = (
            self._publishers if snapshots is None else (*self._publishers, snapshots)
        )
        self._connected = connected
        self._clock = clock
        self._number = 0
        self._last_result: FrameResult | None = None
        self._recent: deque[Event] = deque(maxlen=max_recent)
        self._callbacks: list[Callable[[Event], None]] = []
        self._lock = threading.Lock()  # Guards _recent and _callbacks.

    @property
    def recent(self) -> deque[Event]:
        """A copy of the latest ``max_recent`` events, oldest first; thread-safe."""
        with self._lock:
            return self._recent.copy()

    @property
    def lost(self) -> dict[str, int]:
        """Number of lost events, by the name of the publisher or snapshot store."""
        return {output.name: output.lost for output in self._outputs}

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call ``callback`` (it must not block) with each event, in the loop's thread; return a function to stop it."""
        with self._lock:
            self._callbacks.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return unsubscribe

    def write(self, result: FrameResult) -> None:
        """Track the detections of a frame and publish the "enter" and "leave" events that follow."""
        self._raise_failure()
        self._last_result = result
        changes = self._tracker.update(result.detections, _frame_time(result.frame))
        for track in changes.left:
            self._publish("leave", track, "unseen")
        for track in changes.entered:
            self._publish("enter", track)

    def idle(self) -> None:
        """Publish the "leave" events of objects that left while a live source is lost."""
        self._raise_failure()
        if not self._connected():
            for track in self._tracker.expire(self._clock()):
                self._publish("leave", track, "unseen")

    def __enter__(self) -> EventEmitter:
        return self

    def __exit__(self, *error: object) -> None:
        deadline = time.monotonic() + _FLUSH_SECONDS
        for track in self._tracker.clear():
            self._publish("leave", track, "end")
        for output in self._outputs:
            output.close(deadline)
        if error[0] is None:
            self._raise_failure(closed=True)

    def _raise_failure(self, *, closed: bool = False) -> None:
        """Raise the error of an output; of a ``closed`` one without that of a pipe, whose reader may end first."""
        for output in self._outputs:
            if output.failure is not None and not (closed and isinstance(output.failure, BrokenPipeError)):
                raise output.failure

    def _publish(self, kind: EventKind, track: Track, reason: LeaveReason | None = None) -> None:
        assert self._last_result is not None
        self._number += 1
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
            source=self._last_result.frame.name,
            sequence=self._last_result.frame.sequence,
            duration_s=track.last_seen - track.first_seen if kind == "leave" else None,
            reason=reason,
        )
        if self._snapshots is not None:
            path = self._snapshots.path_for(event)
            self._snapshots.save(path, self._last_result)
            event = replace(event, snapshot=path)
        if self._clips is not None:
            event = replace(event, clip=self._clips.clip_for(event))
        with self._lock:
            self._recent.append(event)
            callbacks = tuple(self._callbacks)
        for publisher in self._publishers:
            publisher.publish(event)
        for callback in callbacks:
            callback(event)


def _frame_time(frame: Frame) -> float:
    return frame.captured_at if frame.time is None else frame.time
