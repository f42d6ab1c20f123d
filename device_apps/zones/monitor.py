"""Monitor of the objects in zones and across lines: what changes with each frame."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.compiled import Anchors, CompiledZones, anchors_of
from device_apps.zones.geometry import Point, crosses, distance_to_segments, edges_of
from device_apps.zones.shapes import Zone, ZoneSet
from device_apps.zones.totals import Totals

__all__ = ["TrackedObject", "ZoneChange", "ZoneChangeKind", "ZoneMonitor"]

ZoneChangeKind = Literal["zone_enter", "zone_leave", "line_cross"]
Direction = Literal["in", "out"]


class TrackedObject(Protocol):
    """An object of a tracker.

    Attributes:
        key: unique among all tracks of the tracker.
        object_id: 0 until the object has entered; only then it counts.
        box: of its last detection, (xmin, ymin, xmax, ymax) in pixels.
        misses: number of frames since its last detection.
    """

    @property
    def key(self) -> int: ...
    @property
    def object_id(self) -> int: ...
    @property
    def label(self) -> str: ...
    @property
    def box(self) -> tuple[float, float, float, float]: ...
    @property
    def misses(self) -> int: ...


class ZoneChange(NamedTuple):
    """An object entered or left the zone ``name``, or crossed the line ``name``.

    Attributes:
        track: the object.
        direction: of a crossing, else None.
        dwell_s: of an object that left a zone, seconds from its first to its last detection inside; else None.
    """

    kind: ZoneChangeKind
    name: str
    track: Any
    direction: Direction | None = None
    dwell_s: float | None = None


@dataclass
class _Visit:
    """Stay of an object in a zone.

    Attributes:
        since, until: times of its first and last detection inside.
        frame: number of the frame of the last one.
        counts: whether it is a "zone_enter".
    """

    since: float
    until: float
    frame: int = 0
    counts: bool = False


@dataclass
class _State:
    """What is known of an object.

    Attributes:
        track: the object as of the last frame.
        anchors: foot and center, (x, y) in 0–1.
        right: by line, whether it was on its right side.
        frame: number of the frame of its last detection.
        visits: by index of the zone.
        pending: by index of the line, crossings in less those out that do not count yet.
    """

    track: Any
    anchors: Anchors
    right: list[bool]
    frame: int = 0
    visits: dict[int, _Visit] = field(default_factory=dict)
    pending: dict[int, int] = field(default_factory=dict)


class ZoneMonitor:
    """Monitor of zones and lines, called by the loop with the objects of each frame.

    An object counts once it has entered (:class:`~device_apps.events.tracker.Tracker`); what it did before counts then.
    An object that is not detected stays where it was last seen. Between two detections it moved on a straight line.

    Args:
        active: the zones in use, also an attribute; those that are saved meanwhile are used with the next frame.
        labels: of the detector.
        totals: counts of earlier runs, which are continued.
    """

    def __init__(self, active: ActiveZones, labels: Sequence[str], totals: Totals | None = None) -> None:
        self.totals = totals or Totals()
        self.active = active
        self._labels = tuple(labels)
        self._shapes = active.shapes
        self._compiled = CompiledZones(self._shapes, labels)
        self._states: dict[int, _State] = {}  # by key of the track
        self._time = 0.0
        self._frame = 0
        self._scale = (1.0, 1.0)
        self._lock = threading.Lock()  # Guards the states and totals, which other threads read with counts().

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise SettingError if a zone or line names a class that is not in ``labels``."""
        self.active.check_labels(labels)

    def model_replaced(self, labels: Sequence[str]) -> None:
        """Count the objects of a model with other labels, which were checked; objects stay where they are."""
        self.active.model_replaced(labels)
        with self._lock:
            self._labels = tuple(labels)
            self._compiled = CompiledZones(self._shapes, self._labels)

    @property
    def shapes(self) -> ZoneSet:
        """The set whose counts :meth:`counts` returns."""
        return self._shapes

    def update(self, tracks: Sequence[TrackedObject], time: float, image_size: tuple[int, int]) -> list[ZoneChange]:
        """Return the changes of a frame, in order.

        Args:
            tracks: all objects of the tracker.
            time: of the frame, in seconds.
            image_size: (height, width) of the frame in pixels.
        """
        if self.active.shapes is self._shapes and not self._compiled:
            return []
        with self._lock:
            self._time = time
            self._frame += 1
            changes = self._configure() if self.active.shapes is not self._shapes else []
            if not self._compiled:
                return changes
            self._scale = (image_size[1], image_size[0])
            seen = [track for track in tracks if track.misses == 0]
            if seen:
                self._move(seen, time)
            if len(self._states) > len(tracks):  # Some were given up before they entered.
                keys = {track.key for track in tracks}
                self._states = {key: state for key, state in self._states.items() if key in keys}
            for state in self._states.values():
                if state.track.object_id and (state.pending or _is_open(state)):
                    changes += self._settle(state, time)
            return changes

    def remove(self, track: TrackedObject) -> list[ZoneChange]:
        """Return the changes of an object that has left the view: it leaves its zones, and its crossings count."""
        with self._lock:
            state = self._states.pop(track.key, None)
            if state is None:
                return []
            changes = list(self._count_crossings(state, dict(state.pending)))
            return changes + [change for index in list(state.visits) for change in self._leave(state, index)]

    def counts(self) -> dict[str, Any]:
        """Return presence, counts and dwell times now, and the totals, in plain JSON types; thread-safe."""
        with self._lock:
            zones: dict[str, Any] = {}
            for index, zone in enumerate(self._compiled.zones):
                stays: dict[str, list[float]] = {}
                for state in self._states.values():
                    visit = state.visits.get(index)
                    if visit is not None and visit.counts:
                        stays.setdefault(state.track.label, []).append(max(0.0, self._time - visit.since))
                visits = self.totals.visits.get(zone.name, {})
                zones[zone.name] = {
                    label: {
                        "present": label in stays,
                        "count": len(stays.get(label, ())),
                        "dwell_s": round(max(stays.get(label, [0.0])), 3),
                        "visits": visits.get(label, 0),
                    }
                    for label in zone.filter.selected(self._labels)
                }
            lines = {}
            for line in self._compiled.lines:
                crossings = self.totals.crossings.get(line.name, {})
                lines[line.name] = {
                    label: dict(zip(("in", "out"), crossings.get(label, (0, 0)), strict=True))
                    for label in line.filter.selected(self._labels)
                }
            return {"zones": zones, "lines": lines}

    def _configure(self) -> list[ZoneChange]:
        """Use the zones that were saved; objects leave those that have changed, and may enter them again."""
        before, self._shapes = self._compiled, self.active.shapes
        self._compiled = after = CompiledZones(self._shapes, self._labels)
        moved = {i: after.zones.index(zone) for i, zone in enumerate(before.zones) if zone in after.zones}
        changes: list[ZoneChange] = []
        for state in self._states.values():
            for index in [index for index in state.visits if index not in moved]:
                changes += self._leave(state, index, before.zones[index])
            state.visits = {moved[index]: visit for index, visit in state.visits.items()}
            state.pending = {}
            state.right = []
        if self._states and after:
            _, right = after.place([state.anchors for state in self._states.values()])
            for state, sides in zip(self._states.values(), right, strict=True):
                state.right = sides
        return changes

    def _move(self, seen: Sequence[TrackedObject], time: float) -> None:
        """Place the objects that were detected: visits begin and go on, and crossings are noted."""
        width, height = self._scale
        anchors = [anchors_of(track.box, width, height) for track in seen]
        rows = zip(seen, anchors, *self._compiled.place(anchors), strict=True)
        zones = len(self._compiled.zones)
        for track, points, inside, right in rows:
            state = self._states.get(track.key)
            if state is None:
                state = self._states[track.key] = _State(track, points, right)
            accepted = self._compiled.accepts(track.label, _area(track.box) / (width * height))
            if right != state.right:
                self._note_crossings(state, points, right, accepted[zones:])
            state.track, state.anchors, state.right, state.frame = track, points, right, self._frame
            for index, is_inside in enumerate(inside):
                if is_inside and accepted[index]:
                    visit = state.visits.setdefault(index, _Visit(time, time))
                    visit.until, visit.frame = time, self._frame

    def _note_crossings(self, state: _State, points: Anchors, right: list[bool], accepted: list[bool]) -> None:
        for index, line in enumerate(self._compiled.lines):
            if right[index] != state.right[index] and accepted[index]:
                anchor = line.filter.anchor == "center"
                crossing = crosses(state.anchors[anchor], points[anchor], *line.points)
                if crossing:
                    state.pending[index] = state.pending.get(index, 0) + crossing

    def _settle(self, state: _State, time: float) -> Iterator[ZoneChange]:
        """Yield the changes of an object that has entered: what it did counts once it is beyond the margin."""
        if state.pending:
            lines = self._compiled.lines
            settled = {
                index: number
                for index, number in state.pending.items()
                if self._is_beyond(state, lines[index].points, lines[index].filter.margin, lines[index].filter.anchor)
            }
            for index in settled:
                del state.pending[index]
            yield from self._count_crossings(state, settled)
        for index, visit in list(state.visits.items()):
            zone = self._compiled.zones[index]
            outside = visit.frame < state.frame
            stay = (visit.until if outside else time) - visit.since
            if not visit.counts and stay >= zone.enter_after:
                visit.counts = True
                self.totals.add_visit(zone.name, state.track.label)
                yield ZoneChange("zone_enter", zone.name, state.track)
            if outside and self._is_beyond(state, zone.points, zone.filter.margin, zone.filter.anchor, closed=True):
                yield from self._leave(state, index)

    def _count_crossings(self, state: _State, crossings: dict[int, int]) -> Iterator[ZoneChange]:
        for index, number in crossings.items():
            direction: Direction = "in" if number > 0 else "out"
            name = self._compiled.lines[index].name
            for _ in range(abs(number)):
                self.totals.add_crossing(name, state.track.label, direction)
                yield ZoneChange("line_cross", name, state.track, direction)

    def _leave(self, state: _State, index: int, zone: Zone | None = None) -> Iterator[ZoneChange]:
        visit = state.visits.pop(index)
        if visit.counts:
            name = (zone or self._compiled.zones[index]).name
            yield ZoneChange("zone_leave", name, state.track, dwell_s=visit.until - visit.since)

    def _is_beyond(
        self, state: _State, points: Sequence[Point], margin: float, anchor: str, *, closed: bool = False
    ) -> bool:
        """Return whether an object is further from a polygon or a line than its margin, measured in pixels."""
        width, height = self._scale
        limit = margin * math.sqrt(_area(state.track.box))
        x, y = state.anchors[anchor == "center"]
        scaled = [(point[0] * width, point[1] * height) for point in points]
        return distance_to_segments((x * width, y * height), edges_of(scaled, closed=closed)) > limit


def _is_open(state: _State) -> bool:
    """Return whether an object may enter or leave a zone with this frame."""
    return any(not visit.counts or visit.frame < state.frame for visit in state.visits.values())


def _area(box: tuple[float, float, float, float]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])
