"""Buffer of one frame between a capture thread and the loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from device_apps.sources.deferred_image import DeferredImage, Image
from device_apps.sources.frames import Frame
from edge_ssd.errors import SourceError

__all__ = ["LatestFrameBuffer"]

_POLL_SECONDS = 0.1


class LatestFrameBuffer:
    """Thread-safe buffer of one frame; a newer frame replaces it, and each is taken at most once.

    Args:
        name: of the source, for its frames.
        stop: when set, :meth:`take` and :meth:`wait` end soon. It is polled, never waited for: a signal handler that
            sets it runs in the thread that would wait, and would deadlock on the lock of the event.
        on_frame: called when a frame is stored, or none will come; must not block.
    """

    def __init__(self, name: str, stop: threading.Event, on_frame: Callable[[], None] = lambda: None) -> None:
        self._on_frame = on_frame
        self._name = name
        self._stop = stop
        # Guards everything below. The lock is reentrant: take() calls wait().
        self._changed = threading.Condition(threading.RLock())
        self._frame: Frame | None = None
        self._error: SourceError | None = None
        self._closed = False
        self._count = 0
        self._dropped = 0

    @property
    def counts(self) -> tuple[int, int]:
        """Number of frames that were stored, and of those that were replaced before they were taken."""
        with self._changed:
            return self._count, self._dropped

    @property
    def ended(self) -> bool:
        """True when no frame or error is stored and none will come."""
        with self._changed:
            return self._closed and self._frame is None and self._error is None

    def put(
        self,
        image: Image | DeferredImage,
        captured_at: float,
        read_seconds: float,
        time: float | None = None,
        *,
        blocking: bool,
        skipped: int = 0,
    ) -> None:
        """Store a :class:`Frame` of these values; one not taken yet is replaced or, with ``blocking``, waited for.

        ``skipped`` frames before it count as dropped.
        """
        with self._changed:
            while blocking and self._frame is not None and not self._closed:
                self._changed.wait()
            if self._closed:
                return
            self._count += skipped
            self._dropped += skipped + (self._frame is not None)
            self._frame = Frame(image, self._count, captured_at, self._name, read_seconds, time)
            self._count += 1
            self._changed.notify_all()
        self._on_frame()

    def end(self, error: SourceError | None) -> None:
        """Accept no more frames. The stored frame can still be taken, then ``error`` is raised if it is not None."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
                self._changed.notify_all()
        self._on_frame()

    def close(self) -> None:
        """Accept no more frames, and drop the stored frame and error."""
        with self._changed:
            self._closed, self._error, self._frame = True, None, None
            self._changed.notify_all()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until a frame is stored, none will come, ``stop`` is set, or ``timeout`` seconds have passed.

        Raises the SourceError that the source ended with, once, after the last frame was taken.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while self._frame is None and not self._closed and not self._stop.is_set():
                remaining = _POLL_SECONDS if end is None else min(end - time.monotonic(), _POLL_SECONDS)
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            if self._frame is None and self._error is not None:
                error, self._error = self._error, None
                raise error

    def take(self, timeout: float) -> Frame | None:
        """Return the frame, or None when there is none within ``timeout`` seconds. Raises as :meth:`wait` does."""
        with self._changed:
            self.wait(timeout)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            return frame
