"""IoU tracker in NumPy: matches the detections of a frame to the objects of earlier frames.

Durations are in seconds, not frames: the same settings hold at five frames per second and at fifty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, box_iou, match_greedily
from edge_ssd.runtime.detections import Detections

__all__ = ["Track", "TrackChanges", "Tracker", "associate"]


@dataclass
class Track:
    """One tracked object.

    Attributes:
        score, box: of its last detection; the box is (xmin, ymin, xmax, ymax) in pixels of that frame.
        relative_box: the same box, 0–1 of the frame, float32 [4]; comparable between frames of different sizes.
        first_seen, last_seen: times of its first and last detection, in seconds.
        hits: number of frames in which it was detected.
        object_id: unique in a tracker, from 1; 0 until the object has entered.
    """

    class_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    relative_box: FloatArray
    first_seen: float
    last_seen: float
    hits: int = 1
    object_id: int = 0


@dataclass(frozen=True)
class TrackChanges:
    """Objects that entered and left with one frame."""

    entered: list[Track]
    left: list[Track]


class Tracker:
    """IoU tracker of the objects in a stream of detections.

    An object *enters* when two of its detections are at least ``enter_after`` seconds apart, with no gap longer than
    ``enter_after`` between them. It *leaves* when it was not detected for ``leave_after`` seconds. Detected again
    before that, it is the same object: a detection that flickers is one object that enters once and leaves once.

    Args:
        enter_after, leave_after: seconds, at least 0.
        iou_threshold: minimum IoU of two boxes of the same object. Low, because at a few frames per second an object
            moves far between two frames; boxes of other classes do not compete.
    """

    def __init__(self, enter_after: float = 0.5, leave_after: float = 2.0, iou_threshold: float = 0.2) -> None:
        self.enter_after = enter_after
        self.leave_after = leave_after
        self.iou_threshold = iou_threshold
        self._tracks: list[Track] = []  # oldest first
        self._last_object_id = 0

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
        track_boxes = np.array([track.relative_box for track in self._tracks], np.float32).reshape(-1, 4)
        track_class_ids = np.array([track.class_id for track in self._tracks], np.int64)
        pairs = associate(track_boxes, track_class_ids, boxes, detections.class_id, self.iou_threshold)
        matched = {i: self._tracks[track_index] for track_index, i in pairs}
        for i, detection in enumerate(detections):
            score, box = detection.score, detection.box
            if i in matched:
                track = matched[i]
                track.score, track.box, track.relative_box, track.last_seen = score, box, boxes[i], time
                track.hits += 1
            else:
                self._tracks.append(Track(detection.class_id, detection.label, score, box, boxes[i], time, time))
        left = self.expire(time)
        return TrackChanges(self._confirm(), left)

    def expire(self, time: float) -> list[Track]:
        """Remove and return the objects that have left by ``time`` (seconds, as in :meth:`update`); needs no frame."""

        def expired(track: Track) -> bool:
            unseen = time - track.last_seen
            return unseen > 0 and (unseen >= self.leave_after if track.object_id else unseen > self.enter_after)

        left = [track for track in self.present if expired(track)]
        self._tracks = [track for track in self._tracks if not expired(track)]
        return left

    def clear(self) -> list[Track]:
        """Remove every object and return those that were present."""
        left, self._tracks = self.present, []
        return left

    def _confirm(self) -> list[Track]:
        entered = []
        for track in self._tracks:
            if not track.object_id and track.hits > 1 and track.last_seen - track.first_seen >= self.enter_after:
                self._last_object_id += 1
                track.object_id = self._last_object_id
                entered.append(track)
        return entered


def associate(
    previous_xyxy: FloatArray,
    previous_class_ids: npt.NDArray[np.int64],
    current_xyxy: FloatArray,
    current_class_ids: npt.NDArray[np.int64],
    iou_threshold: float,
) -> list[tuple[int, int]]:
    """Match boxes [N, 4] to boxes [M, 4] of the same class greedily, highest IoU first and at least ``iou_threshold``.

    Class ids are [N] and [M]. Returns (previous index, current index) of each pair of boxes.
    """
    iou = box_iou(previous_xyxy, current_xyxy)  # [N, M]
    iou[previous_class_ids[:, None] != current_class_ids] = -1
    return match_greedily(iou, iou_threshold)
