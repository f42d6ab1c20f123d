"""A frame with what was found in it, and who takes it."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from device_apps.sources.frames import Frame, Image
from edge_ssd.drawing import draw_detections
from edge_ssd.runtime.detections import Detections

__all__ = ["FrameResult", "Sink"]


class FrameResult:
    """One frame and what was found in it.

    Attributes:
        frame: the frame.
        detections: boxes in its pixels.
        milliseconds: what each stage took so far, see :mod:`device_apps.stats`.
    """

    def __init__(self, frame: Frame, detections: Detections, milliseconds: dict[str, float]) -> None:
        self.frame = frame
        self.detections = detections
        self.milliseconds = milliseconds
        self._drawing = threading.Lock()
        self._annotated: Image | None = None

    @property
    def annotated(self) -> Image:
        """The picture with boxes, uint8 RGB [H, W, 3]; not to be changed, since all who ask get the same.

        Drawn when first asked for, so only if somebody looks; from any thread.
        """
        with self._drawing:
            if self._annotated is None:
                start = time.perf_counter()
                self._annotated = draw_detections(self.frame.image, self.detections)
                self.milliseconds["draw"] = (time.perf_counter() - start) * 1e3
            return self._annotated


class Sink(Protocol):
    """Takes results: a window, a file, a stream of lines."""

    @property
    def finished(self) -> bool:
        """True when the person behind it wants the loop to end."""

    def write(self, result: FrameResult) -> None: ...

    def idle(self) -> None:
        """Called between frames, at least every 0.1 s."""
