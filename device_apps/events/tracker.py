"""Tracker in NumPy: matches the detections of a frame to the objects of earlier frames, by IoU.

An object is judged by frames and by their times, never by the time that passes between two frames: the same settings
hold with a frame every ten seconds and with 120 frames per second.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from device_apps.events.association import associate, associate_in_turn
from device_apps.events.delay import Delay, enter_delay, leave_delay
from device_apps.events.motion import Motion
from edge_ssd.boxes import FloatArray
from edge_ssd.runtime.detections import Detections

__all__ = ["TRACKERS", "Track", "TrackChanges", "Tracker", "TrackerKind"]

TrackerKind = Literal["motion", "iou"]
TRACKERS: tuple[TrackerKind, ...] = ("motion", "iou")

# Time stamps of recordings are rounded, in Matroska to milliseconds: a delay is over up to this much earlier.
_TOLERANCE_S = 0.002
_ENLARGEMENT = 0.75  # Of each side of a box, by this part of its width or height.
_NO_CLASS = -1  # Of an object whose label the model does not have.
_NUM_INTERVALS = 9  # Latest times between frames, whose median is the frame interval.


@dataclass
class Track:
    """One tracked object.

    Attributes:
        score, box: of its last detection; the box is (xmin, ymin, xmax, ymax) in pixels of that frame.
        relative_box: the same box, 0–1 of the frame, float32 [4]; comparable between frames of different sizes.
        first_seen, last_seen: times of its first and last detection, in seconds.
        hits: number of frames in which it was detected.
        misses: number of frames since its last detection.
        object_id: unique in a tracker, from 1; 0 until the object has entered.
        key: unique among all tracks of a tracker, also of those that never enter.
        motion: what it does if the tracker predicts it, else None.
    """

    class_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    relative_box: FloatArray
    first_seen: float
    last_seen: float
    hits: int = 1
    misses: int = 0
    object_id: int = 0
    key: int = 0
    motion: Motion | None = None


@dataclass(frozen=True)
class TrackChanges:
    """Objects that entered and left with one frame."""

    entered: list[Track]
    left: list[Track]


class Tracker:
    """Tracker of the objects in a stream of detections.

    An object *enters* when it was detected in ``enter_after.frames`` frames, the first and the last at least
    ``enter_after.seconds`` apart, without a longer gap between them. It *leaves* when it was missing for
    ``leave_after.seconds``, and in ``leave_after.frames`` frames if these come more slowly than that. Detected again
    before that, it is the same object: a detection that flickers is one object that enters once and leaves once.

    Args:
        enter_after, leave_after: delays, or seconds as in ``--enter-after`` and ``--leave-after``.
        iou_threshold: minimum IoU of two boxes of the same object. Low, because at a few frames per second an object
            moves far between two frames; boxes of other classes do not compete.
        kind: "iou" compares a detection with the last box of an object. "motion" compares it first with the box that
            is expected from the object's velocity, then with the last one, then both enlarged, for objects that moved
            further than their size.
    """

    def __init__(
        self,
        enter_after: Delay | float = 0.5,
        leave_after: Delay | float = 2.0,
        iou_threshold: float = 0.2,
        kind: TrackerKind = "iou",
    ) -> None:
        self.kind = kind
        self.enter_after = enter_after if isinstance(enter_after, Delay) else enter_delay(enter_after)
        self.leave_after = leave_after if isinstance(leave_after, Delay) else leave_delay(leave_after)
        self.iou_threshold = iou_threshold
        self._last_time: float | None = None
        self._intervals: deque[float] = deque(maxlen=_NUM_INTERVALS)
        self._interval = 0.0  # The usual time between two frames.
        self._tracks: list[Track] = []  # oldest first
        self._last_object_id = 0
        self._keys = itertools.count(1)

    @property
    def tracks(self) -> list[Track]:
        """All objects, oldest first, also those that have not entered yet."""
        return self._tracks

    @property
    def present(self) -> list[Track]:
        """The objects that have entered and not left, oldest first."""
        return [track for track in self._tracks if track.object_id]

    def update(self, detections: Detections, time: float) -> TrackChanges:
        """Update the objects with the detections of a frame; return those that entered and left.

        ``time`` is the time of the frame in seconds; it never decreases from one call to the next.
        """
        height, width = detections.image_size
        boxes: FloatArray = np.divide(detections.xyxy, (width, height, width, height), dtype=np.float32)
        pairs = self._associate(boxes, detections, time)
        matched = {i: self._tracks[track_index] for track_index, i in pairs}
        self._count_frame(time)
        for i, detection in enumerate(detections):
            score, box = detection.score, detection.box
            if i in matched:
                track = matched[i]
                track.score, track.box, track.relative_box, track.last_seen = score, box, boxes[i], time
                track.hits += 1
                track.misses = 0
                if track.motion is not None:
                    track.motion.update(boxes[i].tolist(), time)
            else:
                track = Track(detection.class_id, detection.label, score, box, boxes[i], time, time)
                track.key = next(self._keys)
                track.motion = Motion.of(boxes[i].tolist(), time) if self.kind == "motion" else None
                self._tracks.append(track)
        left = self._remove(lambda track: self._is_missing(track, time))
        return TrackChanges(self._confirm(), left)

    def expire(self, time: float) -> list[Track]:
        """Remove and return the objects that left by ``time`` (seconds, as in :meth:`update`) while no frames come.

        Call it only when the camera is lost: until then, the next frame decides. A frame that does not come counts
        after the usual time between two frames.
        """

        def expired(track: Track) -> bool:
            delay = self.leave_after if track.object_id else self.enter_after
            return time - track.last_seen >= max(delay.seconds, delay.frames * self._interval) - _TOLERANCE_S

        return self._remove(expired)

    def model_replaced(self, labels: Sequence[str]) -> None:
        """Follow the objects in the detections of a model with other labels; those without a label there leave."""
        for track in self._tracks:
            track.class_id = labels.index(track.label) if track.label in labels else _NO_CLASS

    def clear(self) -> list[Track]:
        """Remove every object and return those that were present."""
        left, self._tracks = self.present, []
        return left

    def _associate(self, boxes: FloatArray, detections: Detections, time: float) -> list[tuple[int, int]]:
        """Return (index of the track, index of the detection) of each pair."""
        last = np.array([track.relative_box for track in self._tracks], np.float32).reshape(-1, 4)
        class_ids = np.array([track.class_id for track in self._tracks], np.int64)
        if self.kind == "iou" or not len(last) or not len(boxes):
            return associate(last, class_ids, boxes, detections.class_id, self.iou_threshold)
        expected = [track.motion.predict(time) for track in self._tracks if track.motion is not None]
        predicted = np.array(expected, np.float32)
        pairs = associate(predicted, class_ids, boxes, detections.class_id, self.iou_threshold)
        if len(pairs) == min(len(predicted), len(boxes)):  # As in most frames.
            return pairs
        return associate_in_turn(
            [predicted, last, _enlarged(predicted)],
            class_ids,
            [boxes, boxes, _enlarged(boxes)],
            detections.class_id,
            self.iou_threshold,
        )

    def _count_frame(self, time: float) -> None:
        """Count a frame as one without each object, which a detection in it then corrects."""
        for track in self._tracks:
            track.misses += 1
        if self._last_time is not None:
            self._intervals.append(time - self._last_time)
            self._interval = median(self._intervals)
        self._last_time = time

    def _is_missing(self, track: Track, time: float) -> bool:
        """Return whether an object has left, or one that has not entered is given up, with the frame at ``time``."""
        unseen = time - track.last_seen
        if track.object_id:
            delay = self.leave_after
            # One frame decides where several come in this time.
            frames = delay.frames if self._interval > delay.seconds else 1
            return track.misses >= frames and unseen >= delay.seconds - _TOLERANCE_S
        delay = self.enter_after
        return track.misses >= max(1, delay.frames - 1) and unseen > delay.seconds + _TOLERANCE_S

    def _remove(self, expired: Callable[[Track], bool]) -> list[Track]:
        """Remove expired tracks; return those of objects that had entered."""
        gone = {id(track): track for track in self._tracks if expired(track)}
        self._tracks = [track for track in self._tracks if id(track) not in gone]
        return [track for track in gone.values() if track.object_id]

    def _confirm(self) -> list[Track]:
        entered = []
        delay = self.enter_after
        for track in self._tracks:
            seconds = track.last_seen - track.first_seen
            if not track.object_id and track.hits >= delay.frames and seconds >= delay.seconds - _TOLERANCE_S:
                self._last_object_id += 1
                track.object_id = self._last_object_id
                entered.append(track)
        return entered


def _enlarged(boxes: FloatArray) -> FloatArray:
    """Return boxes [N, 4] enlarged on each side: two that were less than a size apart overlap."""
    margin = (boxes[:, 2:] - boxes[:, :2]) * np.float32(_ENLARGEMENT)
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
