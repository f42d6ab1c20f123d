"""A source that reads in threads of its own: cameras, network streams and video files.

A capture thread does nothing but read (``grabbing``; all there are: ``crew``), a second one watches it and replaces it
(``keeper``), and the loop takes what they leave in between (``frame_slot``): of a file each frame, of a camera
or stream the newest, since these queue up old ones.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import TracebackType

from device_apps.sources.backoff import backoff
from device_apps.sources.frames import Frame, OnMessage, SourceCounts, iterate
from device_apps.sources.grabbing import FrameReader
from device_apps.sources.keeper import CaptureWatchdog
from device_apps.sources.latest_frame import LatestFrameBuffer

__all__ = ["STALL_TIMEOUT_S", "CaptureSource"]

STALL_TIMEOUT_S = 2.0
"""A camera in the dark still gives a few frames a second, so two seconds without one mean that something is wrong."""


class CaptureSource:
    """Frames of whatever ``open_grabber`` opens.

    Entering waits for the first frame, so that a source that cannot be opened is an error at once. After that,
    a live source that goes away or stalls is opened again and again, with growing pauses.

    Args:
        open_grabber: opens the device, called in a capture thread; raises :class:`~edge_ssd.errors.SourceError`
            when it cannot.
        name: what to call it in messages.
        retries: attempts in a row to reconnect before the source is given up; None means for ever.
        stall_timeout: seconds without a frame after which a live source is opened anew.
        explain: says why the first opening failed, where asking takes longer than a reconnect should.
        stop: when set, entering and waiting end.
        notice: is told when the source is lost and when it is back; called in a thread.
        pause: seconds to wait before attempt 0, 1, 2, …
    """

    def __init__(
        self,
        open_grabber: Callable[[], FrameReader],
        name: str,
        *,
        retries: int | None = None,
        stall_timeout: float = STALL_TIMEOUT_S,
        explain: Callable[[], str] | None = None,
        stop: threading.Event | None = None,
        notice: OnMessage = lambda line: None,
        pause: Callable[[int], float] = backoff,
    ) -> None:
        self.name = name
        self._slot = LatestFrameBuffer(name, stop or threading.Event())
        self._keeper = CaptureWatchdog(
            open_grabber,
            name,
            self._slot,
            retries=retries,
            stall_timeout=stall_timeout,
            explain=explain,
            notice=notice,
            pause=pause,
        )

    @property
    def live(self) -> bool:
        return self._keeper.crew.live

    @property
    def fps(self) -> float | None:
        return self._keeper.crew.fps

    @property
    def ended(self) -> bool:
        return self._slot.ended

    @property
    def counts(self) -> SourceCounts:
        frames, dropped = self._slot.counted
        keeper, crew = self._keeper, self._keeper.crew
        return SourceCounts(
            frames=frames,
            dropped=dropped,
            stalls=keeper.stalls,
            reconnects=max(crew.openings - 1, 0),
            abandoned=keeper.abandoned,
            connected=crew.connected or not crew.live,
        )

    def read(self, timeout: float) -> Frame | None:
        """See :class:`~device_apps.sources.frames.Source`."""
        return self._slot.take(timeout)

    def __enter__(self) -> CaptureSource:
        self._keeper.start()
        try:
            self._slot.wait()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __iter__(self) -> Iterator[Frame]:
        return iterate(self)

    def _close(self) -> None:
        self._slot.close()
        self._keeper.close()
