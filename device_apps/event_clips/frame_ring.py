"""Ring of the latest frames, encoded, so that a clip can begin before its event."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from device_apps.jpeg import encode_jpeg
from device_apps.sources.frames import Image
from device_apps.sources.opencv import load_opencv
from edge_ssd.runtime.detections import Detections

__all__ = ["EncodedFrame", "FrameRing"]

_QUALITY = 85


@dataclass(frozen=True)
class EncodedFrame:
    """A frame as JPEG, with its detections in pixels of this image.

    Attributes:
        at: its time in seconds, on the clock of the other frames.
    """

    jpeg: bytes
    at: float
    detections: Detections

    @classmethod
    def encode(cls, image: Image, at: float, detections: Detections) -> EncodedFrame:
        return cls(encode_jpeg(image, _QUALITY), at, detections)

    def decode(self) -> Image:
        """Return the image, uint8 RGB [H, W, 3]."""
        cv2 = load_opencv()
        image = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


class FrameRing:
    """The frames of the last ``seconds``, as many as ``max_bytes`` hold."""

    def __init__(self, seconds: float, max_bytes: int) -> None:
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._frames: deque[EncodedFrame] = deque()
        self.total_bytes = 0

    def add(self, frame: EncodedFrame) -> None:
        self._frames.append(frame)
        self.total_bytes += len(frame.jpeg)
        while self._frames and (self.total_bytes > self._max_bytes or frame.at - self._frames[0].at > self._seconds):
            self.total_bytes -= len(self._frames.popleft().jpeg)

    def since(self, at: float) -> list[EncodedFrame]:
        """Return the frames from this time on, oldest first."""
        return [frame for frame in self._frames if frame.at >= at]
