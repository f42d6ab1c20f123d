"""Choice of the frames that are worth labeling: those in which the detector is unsure, and those of new scenes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np

from device_apps.collect.thumbnail import Thumbnail, difference, thumbnail
from device_apps.results import FrameResult
from edge_ssd.boxes import box_iou
from edge_ssd.runtime.detections import Detections

__all__ = ["Choice", "FrameChooser", "Reason"]

Reason = Literal["unsure", "flicker", "scene", "regular"]

_MARGIN = 0.15  # A score less than this above its threshold is unsure.
_SAME_IOU = 0.5  # Of one object in two frames.
_GAP_FRAMES = 3  # An object that is missing in at most so many frames flickers.
_PAUSE_S = 2.0  # At least, between two frames that are kept.
_SCENE_S = 1.0  # Between two looks at the scene.
# Gray levels between thumbnails. A still camera's noise makes about 1, a person who walks through the image 3 to 10.
_DUPLICATE = 2.5
_NEW_SCENE = 12.0
_REMEMBERED = 200  # kept frames that a new one is compared with


class Choice(NamedTuple):
    """A frame to keep, and why."""

    result: FrameResult
    reason: Reason


class FrameChooser:
    """Choice of frames to label, one at most every two seconds, none that looks like one that was kept before.

    - "unsure": a detection scores less than 0.15 above the threshold of its class.
    - "flicker": an object is missing in up to three frames between two that show it at the same place; the frame in
      which it is missing is kept.
    - "scene": the image differs from all that were kept.
    - "regular": ``every`` seconds have passed.

    Args:
        thresholds: returns label → minimum score of a detection, which can change.
        every: seconds between regular frames; None for none.
    """

    def __init__(self, thresholds: Callable[[], Mapping[str, float]], every: float | None = None) -> None:
        self._thresholds = thresholds
        self._every = every
        self._kept: deque[Thumbnail] = deque(maxlen=_REMEMBERED)
        self._kept_at: float | None = None
        self._looked_at: float | None = None  # at the scene
        self._regular_at: float | None = None
        self._before: list[Detections] = []  # of the frames before, oldest first
        self._missing: FrameResult | None = None  # the last frame

    def choose(self, result: FrameResult) -> Choice | None:
        """Return the frame to keep, this or the one before, or None."""
        now = result.frame.stream_time
        flickers = self._flickers(result.detections)
        missing, self._missing = self._missing, result
        self._before = [*self._before[-_GAP_FRAMES:], result.detections]
        if self._kept_at is not None and now - self._kept_at < _PAUSE_S:
            return None
        choice = Choice(result, "regular")
        if flickers and missing is not None:
            choice = Choice(missing, "flicker")
        elif self._unsure(result.detections):
            choice = Choice(result, "unsure")
        elif self._every is not None and (self._regular_at is None or now - self._regular_at >= self._every):
            self._regular_at = now
        elif self._looked_at is None or now - self._looked_at >= _SCENE_S:
            self._looked_at = now
            choice = Choice(result, "scene")
        else:
            return None
        small = thumbnail(choice.result.frame.pixels)
        least = _NEW_SCENE if choice.reason == "scene" else _DUPLICATE
        if any(difference(small, other) < least for other in self._kept):
            return None
        self._kept.append(small)
        self._kept_at = now
        return choice

    def remember(self, small: Thumbnail) -> None:
        """Count a thumbnail of an earlier run among those of the kept frames."""
        self._kept.append(small)

    def _unsure(self, detections: Detections) -> bool:
        thresholds = self._thresholds() if len(detections) else {}
        return any(
            score < thresholds.get(name, 0.0) + _MARGIN
            for name, score in zip(detections.names, detections.confidence.tolist(), strict=True)
        )

    def _flickers(self, detections: Detections) -> bool:
        """Return whether an object of this frame is missing in the last one, and was there shortly before."""
        if len(self._before) < 2 or not len(detections):
            return False
        *earlier, last = self._before
        returned = ~_found_in(detections, last)
        return bool(returned.any()) and any(_found_in(detections, old)[returned].any() for old in earlier)


def _found_in(detections: Detections, others: Detections) -> np.ndarray:
    """Return for each object whether another frame has one of its class at its place; bool [N]."""
    same = detections.class_id[:, None] == others.class_id
    found: np.ndarray = ((box_iou(detections.xyxy, others.xyxy) >= _SAME_IOU) & same).any(axis=1)
    return found
