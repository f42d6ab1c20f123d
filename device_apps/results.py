"""Results of the loop, and the interface of the sinks that receive them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from device_apps.sources.frames import Frame, Image
from edge_ssd.drawing import draw_detections
from edge_ssd.runtime.detections import Detections

__all__ = ["FrameResult", "Sink", "has_lost"]


class FrameResult:
    """One frame and its detections.

    Args:
        detections: boxes in pixels of the frame.
        milliseconds: time of each stage so far, by its name ("invoke"); see :mod:`device_apps.stats`.
        draw: returns a copy of an image with detections drawn.
        still: the detections are those of an earlier frame, since the scene did not change.
    """

    def __init__(
        self,
        frame: Frame,
        detections: Detections,
        milliseconds: dict[str, float],
        draw: Callable[[Image, Detections], Image] = draw_detections,
        *,
        still: bool = False,
    ) -> None:
        self.frame = frame
        self.detections = detections
        self.milliseconds = milliseconds
        self.draw = draw
        self.still = still
        self._lock = threading.Lock()
        self._annotated: Image | None = None

    @property
    def annotated(self) -> Image:
        """The image with boxes, uint8 RGB [H, W, 3]. Shared by all callers: do not modify it.

        Drawn at the first access, from any thread, so that no time is spent when it is not shown.
        """
        with self._lock:
            if self._annotated is None:
                start = time.perf_counter()
                self._annotated = self.draw(self.frame.image, self.detections)
                self.milliseconds["draw"] = (time.perf_counter() - start) * 1e3
            return self._annotated


class Sink(Protocol):
    """Receiver of results: a window, a file, a stream of lines."""

    @property
    def finished(self) -> bool:
        """True when the loop should end, for example because the window was closed."""

    def write(self, result: FrameResult) -> None: ...

    def idle(self) -> None:
        """Do periodic work; called whenever no frame has arrived for 0.05 s."""


def has_lost(sinks: Iterable[Sink]) -> bool:
    """Return whether a sink that counts its losses as ``lost`` has lost anything."""
    return any(getattr(sink, "lost", 0) for sink in sinks)
