"""Snapshots of objects that entered, replaced while they are present by frames in which they score higher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from device_apps.events.event import Event
from device_apps.events.history import EventHistory
from device_apps.events.tracker import Track
from device_apps.results import FrameResult
from device_apps.seen_frame import SeenObject

__all__ = ["BestSnapshots", "found_object"]

# Each replacement encodes and writes a frame: few, and only for what is clearly better.
_MIN_GAIN = 0.03
_PAUSE_S = 1.0


@dataclass
class _Best:
    event: Event  # "enter"
    score: float
    at: float  # stream time of the frame


class BestSnapshots:
    """Replacement of the snapshot of an "enter" event, at most once a second, until its object leaves.

    Args:
        save: writes the frame as the snapshot of an event, with the detection that the event is about; returns False if
            it is lost.
        history: gets the score as ``best_score``; the snapshot of an event with a verdict is not replaced.
    """

    def __init__(self, save: Callable[[Event, FrameResult, SeenObject], bool], history: EventHistory) -> None:
        self._save = save
        self._history = history
        self._best: dict[int, _Best] = {}  # by object id

    def add(self, event: Event, at: float) -> None:
        """Follow the object of an "enter" event, whose snapshot shows the frame ``at`` this stream time."""
        self._best[event.object_id] = _Best(event, event.score, at)

    def remove(self, object_id: int) -> None:
        self._best.pop(object_id, None)

    def update(self, tracks: Sequence[Track], result: FrameResult) -> None:
        """Save the frame for each object that scores higher in it than in its snapshot."""
        at = result.frame.stream_time
        for track in tracks:
            best = self._best.get(track.object_id)
            if best is None or track.score < best.score + _MIN_GAIN or at - best.at < _PAUSE_S:
                continue
            found = found_object(track)
            record = self._history.get(best.event.id)
            if found is None or record is None or "verdict" in record:
                continue
            best.at = at
            if self._save(best.event, result, found):
                best.score = track.score
                self._history.update(best.event.id, best_score=round(track.score, 4))


def found_object(track: Track) -> SeenObject | None:
    """Return the detection of an object in the latest frame, or None if it is not in it."""
    return None if track.misses else SeenObject(track.label, track.score, track.box)
