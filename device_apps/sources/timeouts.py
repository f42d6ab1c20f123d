"""Times and limits of a capture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from device_apps.retry import backoff

__all__ = ["CaptureTimeouts"]

# A connection that hangs while it is opened ends by itself: after the watchdog has abandoned it, and before four stall
# timeouts have passed, so that one of the four capture threads that may run at once is always about to end.
_OPEN_STALLS = 3.5


@dataclass(frozen=True)
class CaptureTimeouts:
    """Times and limits of a capture. All times are in seconds.

    Attributes:
        stall: time without a frame after which a live device is opened again. A camera in the dark still delivers a
            few frames a second.
        first_frame: time from the first opening to its first frame, and the minimum for the last attempt to
            reconnect. Longer than capture libraries take to report an error themselves.
        stable: a connection that lasts this long resets the number of attempts.
        close: time that closing waits for the threads. Longer than between two frames of any camera.
        stream_open: minimum time that opening a stream may take.
        max_threads: capture threads at once; when all are stuck, one must return before the next is started.
        stuck: minimum time without such a return after which the capture ends with an error.
        retry_pause: returns the pause before attempt 0, 1, 2, …
    """

    stall: float = 2.0
    first_frame: float = 20.0
    stable: float = 5.0
    close: float = 0.5
    stream_open: float = 7.0
    max_threads: int = 4
    stuck: float = 30.0
    retry_pause: Callable[[int], float] = backoff

    @property
    def stream_open_seconds(self) -> float:
        """Time that opening a stream may take."""
        return max(self.stream_open, _OPEN_STALLS * self.stall)
