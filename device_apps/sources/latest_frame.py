"""Where a capture thread leaves a frame and the loop takes it."""

from __future__ import annotations

import threading
import time

from device_apps.sources.frames import Frame, Image
from edge_ssd.errors import SourceError

__all__ = ["LatestFrameBuffer"]

_SLICE_S = 0.1


class LatestFrameBuffer:
    """Room for one frame, which is taken once.

    Args:
        name: of the source, for its frames.
        stop: when set, :meth:`take` and :meth:`wait` end soon. Nobody may wait on the event itself: a signal handler
            that sets it runs in the very thread that would wait, and would wait for the lock that it holds.
    """

    def __init__(self, name: str, stop: threading.Event) -> None:
        self._name = name
        self._stop = stop
        # The condition, whose lock may be taken twice, guards everything below.
        self._changed = threading.Condition(threading.RLock())
        self._frame: Frame | None = None
        self._error: SourceError | None = None
        self._over = False
        self._count = 0
        self._dropped = 0

    @property
    def counted(self) -> tuple[int, int]:
        """How many frames were put in, and how many of them were replaced before anybody took them."""
        with self._changed:
            return self._count, self._dropped

    @property
    def ended(self) -> bool:
        """True when nothing more will be taken out."""
        with self._changed:
            return self._over and self._frame is None and self._error is None

    def put(self, image: Image, captured_at: float, read_seconds: float, *, in_turn: bool) -> None:
        """Leave a frame: in place of one that nobody took or, with ``in_turn``, once that one has been taken."""
        with self._changed:
            while in_turn and self._frame is not None and not self._over:
                self._changed.wait()
            if self._over:
                return
            self._dropped += self._frame is not None
            self._frame = Frame(image, self._count, captured_at, self._name, read_seconds)
            self._count += 1
            self._changed.notify_all()

    def end(self, error: SourceError | None) -> None:
        """Take no more in; the frame that is there, then the error, are given out yet."""
        with self._changed:
            if not self._over:
                self._over, self._error = True, error
                self._changed.notify_all()

    def close(self) -> None:
        """Take no more in and give nothing out."""
        with self._changed:
            self._over, self._error, self._frame = True, None, None
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> None:
        """Until a frame is there, none will come, ``stop`` is set, or so many seconds are over.

        Raises, once, the error that it ended with, if no frame is left before it.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self._frame is None and not self._over and not self._stop.is_set():
                rest = _SLICE_S if end is None else min(end - time.monotonic(), _SLICE_S)
                if rest <= 0:
                    break
                self._changed.wait(rest)
            if self._frame is None and self._error is not None:
                error, self._error = self._error, None
                raise error

    def take(self, timeout: float) -> Frame | None:
        """The frame, or None when there is none within ``timeout`` seconds; raises as :meth:`wait` does."""
        with self._changed:
            self.wait(timeout)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            return frame
