"""Time of a recording from the time stamps of its frames."""

from __future__ import annotations

import math

__all__ = ["MediaClock"]

_DEFAULT_FPS = 25.0  # As FFmpeg assumes for streams without a frame rate.


class MediaClock:
    """Clock of a recording, which never goes back.

    Frames of a varying rate have time stamps. Some files lack them (raw streams: all are 0), and in others they begin
    again (recordings that were joined): such frames follow the previous one after a frame interval.

    Args:
        fps: frames per second that the recording announces, or None.

    Attributes:
        seconds: time of the latest frame.
    """

    def __init__(self, fps: float | None) -> None:
        self.seconds = 0.0
        self._interval = 1 / (fps or _DEFAULT_FPS)
        self._offset = 0.0  # From time stamps to ``seconds``.
        self._stamp: float | None = None  # Of the latest frame.

    def advance(self, stamp: float) -> None:
        """Count the next frame, with its time stamp in seconds."""
        previous, self._stamp = self._stamp, stamp if math.isfinite(stamp) else self._stamp
        if previous is None:
            self.seconds = max(0.0, stamp) if math.isfinite(stamp) else 0.0
        elif math.isfinite(stamp) and stamp > previous:
            self.seconds = max(self.seconds, stamp + self._offset)
        else:
            self.seconds += self._interval
            if math.isfinite(stamp) and stamp < previous:
                self._offset = self.seconds - stamp
