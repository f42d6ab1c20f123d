"""Source that reads cameras, network streams and video files in threads of their own.

A capture thread reads the device, a watchdog reopens it (:mod:`device_apps.sources.capture_threads`), and a buffer
between them and the loop keeps one frame (:mod:`device_apps.sources.latest_frame`): every frame of a recording, the
newest frame of a live device, whose queue would deliver old frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from device_apps.sources.capture_threads import CaptureWatchdog
from device_apps.sources.frames import Frame, FrameReader, SourceCounts, iterate
from device_apps.sources.latest_frame import LatestFrameBuffer
from device_apps.sources.timeouts import CaptureTimeouts

__all__ = ["CaptureSource"]


class CaptureSource:
    """Source of the frames of a device or file, which is read in threads of its own.

    Entering waits for the first frame and raises :class:`~edge_ssd.errors.SourceError` if there is none. After that, a
    live source that ends or stalls is opened again, with growing pauses. Losses and reconnects are logged.

    Args:
        open_reader: opens the device; called in a capture thread. Raises SourceError when it cannot.
        retries: attempts in a row to reconnect before giving up; None for no limit.
        explain: returns why the first opening failed; not called for reconnects, because it may be slow.
        stop: when set, entering and waiting end.
        on_frame: called in another thread when a frame has come or the source has ended; must not block.
    """

    def __init__(
        self,
        open_reader: Callable[[], FrameReader],
        name: str,
        *,
        retries: int | None = None,
        timeouts: CaptureTimeouts = CaptureTimeouts(),
        explain: Callable[[], str] | None = None,
        stop: threading.Event | None = None,
        on_frame: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._buffer = LatestFrameBuffer(name, stop or threading.Event(), on_frame)
        self._watchdog = CaptureWatchdog(
            open_reader, name, self._buffer, retries=retries, timeouts=timeouts, explain=explain
        )

    @property
    def live(self) -> bool:
        return self._watchdog.live

    @property
    def fps(self) -> float | None:
        return self._watchdog.fps

    @property
    def ended(self) -> bool:
        return self._buffer.ended

    @property
    def counts(self) -> SourceCounts:
        return self._watchdog.counts

    def read(self, timeout: float) -> Frame | None:
        return self._buffer.take(timeout)

    def __enter__(self) -> CaptureSource:
        self._watchdog.start()
        try:
            self._buffer.wait()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def __iter__(self) -> Iterator[Frame]:
        return iterate(self)

    def _close(self) -> None:
        self._buffer.close()
        self._watchdog.close()
