"""Which box of this frame is which object of the frames before: a tracker by overlap, in NumPy.

Boxes of one class that overlap most belong together. Time is what counts, never the number of frames: the same
settings hold for a board that sees five frames a second and for one that sees fifty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray, box_iou
from edge_ssd.runtime.detections import Detections

__all__ = ["Changes", "Track", "Tracker", "associate"]


@dataclass
class Track:
    """An object that was seen: what it is, where and how surely last, and when.

    Attributes:
        object_id: counts from 1; no two objects of a tracker share one. 0 while it may still be a false alarm.
        class_id, label: what the detector calls it.
        score: of the last time that it was seen.
        box: (xmin, ymin, xmax, ymax) of that time, in pixels of that frame.
        place: the same in 0–1 of the frame, float32 [4]: comparable when frames change their size.
        first_seen, last_seen: seconds, of the clock that ``update`` is given.
        hits: frames that it was seen in.
    """

    class_id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    place: FloatArray
    first_seen: float
    last_seen: float
    hits: int = 1
    object_id: int = 0


@dataclass(frozen=True)
class Changes:
    """What one frame changed: objects that are now certain to be there, and objects that are gone."""

    entered: list[Track]
    left: list[Track]


class Tracker:
    """Keeps the objects of a stream of detections.

    An object has *entered* once it was seen in two frames that lie ``enter_after`` seconds apart or more, and never
    missed for longer than that in between. It has *left* once it was not seen for ``leave_after`` seconds. Seen again
    before that, it is the same object, so a detection that flickers is one object that enters once and leaves once.

    Args:
        enter_after: seconds, from 0.
        leave_after: seconds, from 0.
        iou_threshold: boxes that overlap less than this never belong together. Low, since at a few frames a second
            an object moves far between two of them, and boxes of other classes do not compete.
    """

    def __init__(self, enter_after: float = 0.5, leave_after: float = 2.0, iou_threshold: float = 0.2) -> None:
        self.enter_after = enter_after
        self.leave_after = leave_after
        self.iou_threshold = iou_threshold
        self._tracks: list[Track] = []  # oldest first
        self._entered = 0

    @property
    def present(self) -> list[Track]:
        """The objects that have entered and not left, oldest first."""
        return [track for track in self._tracks if track.object_id]

    def update(self, detections: Detections, at: float) -> Changes:
        """Take in what was found in a frame of the time ``at``, which is not before the last one."""
        height, width = detections.image_size
        places: FloatArray = np.divide(detections.xyxy, (width, height, width, height), dtype=np.float32)
        known = np.array([track.place for track in self._tracks], np.float32).reshape(-1, 4)
        class_ids = np.array([track.class_id for track in self._tracks], np.int64)
        pairs = associate(known, class_ids, places, detections.class_id, self.iou_threshold)
        tracks = {now: self._tracks[before] for before, now in pairs}
        for i, found in enumerate(detections):
            if i in tracks:
                track = tracks[i]
                track.score, track.box, track.place, track.last_seen = found.score, found.box, places[i], at
                track.hits += 1
            else:
                self._tracks.append(Track(found.class_id, found.label, found.score, found.box, places[i], at, at))
        left = self.expire(at)
        return Changes(self._confirm(), left)

    def expire(self, at: float) -> list[Track]:
        """The objects that are gone by now, when no frame has come; also what update does after it has matched."""

        def gone(track: Track) -> bool:
            missed = at - track.last_seen
            return missed > 0 and (missed >= self.leave_after if track.object_id else missed > self.enter_after)

        left = [track for track in self.present if gone(track)]
        self._tracks = [track for track in self._tracks if not gone(track)]
        return left

    def clear(self) -> list[Track]:
        """Forget everything; returns the objects that were present."""
        left, self._tracks = self.present, []
        return left

    def _confirm(self) -> list[Track]:
        entered = []
        for track in self._tracks:
            if not track.object_id and track.hits > 1 and track.last_seen - track.first_seen >= self.enter_after:
                self._entered += 1
                track.object_id = self._entered
                entered.append(track)
        return entered


def associate(
    before_xyxy: FloatArray,
    before_class_ids: npt.NDArray[np.int64],
    now_xyxy: FloatArray,
    now_class_ids: npt.NDArray[np.int64],
    iou_threshold: float,
) -> Sequence[tuple[int, int]]:
    """Pair boxes [N, 4] with boxes [M, 4] of the same class, the pair that overlaps most first.

    Returns (index before, index now) of each pair; each box is in one at most. Pairs with an IoU below the threshold
    are none. Of equal overlaps the lower indices go first.
    """
    overlap = box_iou(before_xyxy, now_xyxy)  # [N, M]
    overlap[before_class_ids[:, None] != now_class_ids] = -1
    taken_before, taken_now = set(), set()
    pairs = []
    columns = overlap.shape[1]
    for flat in np.argsort(-overlap, axis=None, kind="stable").tolist():
        before, now = divmod(flat, columns)
        if overlap[before, now] < iou_threshold:
            break
        if before not in taken_before and now not in taken_now:
            taken_before.add(before)
            taken_now.add(now)
            pairs.append((before, now))
    return pairs
