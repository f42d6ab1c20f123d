"""Emitter that turns the detections of a stream into enter and leave events."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, TypeVar

from device_apps.events.best_snapshots import BestSnapshots, found_object
from device_apps.events.counts_file import CountsFile
from device_apps.events.event import ClipSource, Event, EventKind, EventPublisher, LeaveReason
from device_apps.events.history import EventHistory
from device_apps.events.snapshot_store import SnapshotStore
from device_apps.events.tracker import Track, Tracker
from device_apps.follows_model import FollowsModel
from device_apps.results import FrameResult
from device_apps.zones.monitor import ZoneChange, ZoneMonitor

__all__ = ["EventEmitter"]

_Callback = TypeVar("_Callback")

_COUNTS_PERIOD_S = 1.0  # Between two counts without a change: dwell times grow.
_FLUSH_SECONDS = 1.0  # For all publishers together: a service must end within two seconds after SIGTERM.


class EventEmitter:
    """Sink that tracks objects and publishes their events; a context manager, on whose exit every object leaves.

    Live sources are timed by the capture times of their frames, and by the clock while they are lost: as long as a
    camera is connected, only its frames decide, however slowly they come. A recording is timed by the times of its
    frames, so that its events do not depend on how fast it is read.

    With a monitor of zones, what objects do there is published in the same way, after an object's "enter" and before
    its "leave".

    Args:
        publishers: get each event, and are closed on exit, in this order.
        snapshots: saves the annotated frame of each event; None saves none. Closed last.
        clips: records clips of events; None for none. A sink of its own, after this one.
        history: keeps the events; None keeps the latest ``max_recent`` in memory.
        page: URL of the web page for the links of events; None for none.
        camera: its name, which each event states; None for a camera that is alone.
        zones: monitor of zones and lines, and ``counts_file`` what keeps its totals; None for none.
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
        history: EventHistory | None = None,
        page: str | None = None,
        camera: str | None = None,
        zones: ZoneMonitor | None = None,
        counts_file: CountsFile | None = None,
        connected: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = time.monotonic,
        max_recent: int = 100,
    ) -> None:
        self.run = f"{int(time.time()):x}{secrets.token_hex(4)}"
        self._publishers = tuple(publishers)
        self._tracker = tracker or Tracker()
        self.history = history or EventHistory(max_events=max_recent)
        self.snapshots = snapshots
        self.clips = clips
        self._page = page
        self._camera = camera
        self._best = None if snapshots is None else BestSnapshots(snapshots.save, self.history)
        self._zones = zones
        self._counts_file = counts_file
        more = tuple(output for output in (counts_file, snapshots, history) if output is not None)
        self._outputs: tuple[EventPublisher | SnapshotStore | CountsFile, ...] = (*self._publishers, *more)
        self._counts_at = 0.0  # When counts were last passed on.
        self._connected = connected
        self._clock = clock
        self._number = 0
        self._ending = False
        self._last_result: FrameResult | None = None
        self._recent: deque[Event] = deque(maxlen=max_recent)
        self._callbacks: list[Callable[[Event], None]] = []
        self._counts_callbacks: list[Callable[[dict[str, Any]], None]] = []
        self._lock = threading.Lock()  # Guards _recent and the callbacks.

    @property
    def recent(self) -> deque[Event]:
        """A copy of the latest ``max_recent`` events, oldest first; thread-safe."""
        with self._lock:
            return self._recent.copy()

    @property
    def lost(self) -> int:
        """Number of events and snapshots that a publisher or the snapshot store lost."""
        return sum(output.lost for output in self._outputs)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call ``callback`` (it must not block) with each event, in the loop's thread; return a function to stop it."""
        return self._add(self._callbacks, callback)

    def subscribe_counts(self, callback: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Call ``callback`` (it must not block) with the counts of zones and lines when they change, and every second.

        See :meth:`~device_apps.zones.monitor.ZoneMonitor.counts`. Returns a function to stop it.
        """
        return self._add(self._counts_callbacks, callback)

    def _add(self, callbacks: list[_Callback], callback: _Callback) -> Callable[[], None]:
        with self._lock:
            callbacks.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in callbacks:
                    callbacks.remove(callback)

        return unsubscribe

    def write(self, result: FrameResult) -> None:
        """Track the detections of a frame and publish the "enter" and "leave" events that follow."""
        self._raise_failure()
        self._last_result = result
        changes = self._tracker.update(result.detections, result.frame.stream_time)
        for track in changes.left:
            self._publish_leave(track, "unseen")
        for track in changes.entered:
            self._publish("enter", track)
        if self._zones is not None:
            self._watch_zones(self._zones, result)
        if self._best is not None:
            self._best.update(self._tracker.tracks, result)

    def idle(self) -> None:
        """Publish the "leave" events of objects that left while a live source is lost."""
        self._raise_failure()
        if not self._connected():
            left = self._tracker.expire(self._clock())
            for track in left:
                self._publish_leave(track, "unseen")
            if left and self._zones is not None:
                self._pass_counts(self._zones)

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise SettingError if a publisher needs a label that is not in ``labels``."""
        for publisher in self._publishers:
            if isinstance(publisher, FollowsModel):
                publisher.check_labels(labels)

    def model_replaced(self, labels: Sequence[str]) -> None:
        """Go on with a model of other labels; objects stay the same if their label is in it, else they leave."""
        self._tracker.model_replaced(labels)
        for publisher in self._publishers:
            if isinstance(publisher, FollowsModel):
                publisher.model_replaced(labels)

    def __enter__(self) -> EventEmitter:
        return self

    def __exit__(self, *error: object) -> None:
        deadline = time.monotonic() + _FLUSH_SECONDS
        self._ending = True  # No clip begins: nothing comes after.
        for track in self._tracker.clear():
            self._publish_leave(track, "end")
        if self._zones is not None:
            self._pass_counts(self._zones)
        if self._counts_file is not None:
            self._counts_file.save()  # A broker that hangs may take all of the time.
        for output in self._outputs:
            output.close(deadline)
            if output is self.snapshots:
                for event in self.snapshots.unwritten:
                    self._note_lost_snapshot(event)
        if error[0] is None:
            self._raise_failure(closed=True)

    def _note_lost_snapshot(self, event: Event) -> None:
        self.history.update(event.id, snapshot=None, snapshot_url=None, snapshot_lost=True)

    def _raise_failure(self, *, closed: bool = False) -> None:
        """Raise the error of an output; of a ``closed`` one without that of a pipe, whose reader may end first."""
        for output in self._outputs:
            if output.failure is not None and not (closed and isinstance(output.failure, BrokenPipeError)):
                raise output.failure

    def _watch_zones(self, zones: ZoneMonitor, result: FrameResult) -> None:
        """Publish what the objects of a frame do in zones and across lines."""
        frame = result.frame
        changes = zones.update(self._tracker.tracks, frame.stream_time, frame.size)
        for change in changes:
            self._publish_change(change)
        if changes or self._clock() - self._counts_at >= _COUNTS_PERIOD_S:
            self._pass_counts(zones)
        if self._counts_file is not None:
            self._counts_file.update()

    def _pass_counts(self, zones: ZoneMonitor) -> None:
        self._counts_at = self._clock()
        with self._lock:
            callbacks = tuple(self._counts_callbacks)
        if callbacks:
            counts = zones.counts()
            for callback in callbacks:
                callback(counts)

    def _publish_leave(self, track: Track, reason: LeaveReason) -> None:
        if self._zones is not None:
            for change in self._zones.remove(track):
                self._publish_change(change)
        self._publish("leave", track, reason)

    def _publish_change(self, change: ZoneChange) -> None:
        if change.kind == "line_cross":
            self._publish(change.kind, change.track, line=change.name, direction=change.direction)
        else:
            self._publish(change.kind, change.track, zone=change.name, dwell_s=change.dwell_s)

    def _publish(self, kind: EventKind, track: Track, reason: LeaveReason | None = None, **more: Any) -> None:
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
            page=self._page,
            camera=self._camera,
            **more,
        )
        if self.snapshots is not None:
            event = replace(event, snapshot=self.snapshots.path_for(event))
        if self.clips is not None:
            at = self._last_result.frame.stream_time
            event = replace(event, clip=self.clips.clip_for(event, at, begin=not self._ending))
        is_lost = self.snapshots is not None and not self.snapshots.save(event, self._last_result, found_object(track))
        if is_lost:
            event = replace(event, snapshot=None)
        elif self._best is not None and kind == "enter":
            self._best.add(event, self._last_result.frame.stream_time)
        if self._best is not None and kind == "leave":
            self._best.remove(track.object_id)
        self.history.publish(event)
        if is_lost:
            self._note_lost_snapshot(event)
        with self._lock:
            self._recent.append(event)
            callbacks = tuple(self._callbacks)
        for publisher in self._publishers:
            publisher.publish(event)
        for callback in callbacks:
            callback(event)
