"""One thread that opens a device, reads it and closes it.

``read()`` of a capture library can block for ever and cannot be interrupted, and closing a device from elsewhere
while it is read crashes the library. So one thread alone touches a device, and one that is stuck is left behind:
when its call returns at last, it closes what it opened and ends. It is a daemon, so at the latest with the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from device_apps.sources.frames import Image

__all__ = ["CaptureThread", "FrameReader", "Owner"]


class FrameReader(Protocol):
    """An opened device or file. Used by one thread only.

    Attributes:
        live: True when old frames are worthless, False for a recording.
        fps: frames a second that it announces, or None.
    """

    @property
    def live(self) -> bool: ...
    @property
    def fps(self) -> float | None: ...

    def read(self) -> Image | None:
        """The next frame, or None when a recording has ended or a device has gone.

        Raises :class:`~edge_ssd.errors.SourceError` when a recording breaks off.
        """

    def close(self) -> None: ...


class Owner(Protocol):
    """Whom a thread asks and tells, from inside that thread."""

    def opened(self, grabbing: CaptureThread, grabber: FrameReader) -> bool:
        """Told of an opened device; answers whether its frames are wanted."""

    def give(self, grabbing: CaptureThread, image: Image, captured_at: float, read_seconds: float) -> bool:
        """Takes a frame; answers whether more are wanted."""

    def ended(self, grabbing: CaptureThread, error: Exception | None) -> None:
        """Told last, when the device is closed, with what went wrong."""


class CaptureThread:
    """A thread at work on one opening of a device. Its attributes are its owner's notes about it.

    Attributes:
        left: True once nobody waits for it any more.
        over: True when its device is closed.
        error: what it ended with, or None.
    """

    def __init__(self, open_grabber: Callable[[], FrameReader], owner: Owner, name: str) -> None:
        self.left = False
        self.over = False
        self.error: Exception | None = None
        self._open = open_grabber
        self._owner = owner
        self._thread = threading.Thread(target=self._run, name=f"capture {name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait for the thread's end, so many seconds at most."""
        self._thread.join(timeout)

    def _run(self) -> None:
        error: Exception | None = None
        try:
            self._grab()
        except Exception as reason:  # A bug or a library's own error must be told, not leave others waiting.
            error = reason
        finally:
            self._owner.ended(self, error)

    def _grab(self) -> None:
        grabber = self._open()
        try:
            wanted = self._owner.opened(self, grabber)
            while wanted:
                start = time.monotonic()
                image = grabber.read()
                if image is None:
                    break
                now = time.monotonic()
                wanted = self._owner.give(self, image, now, now - start)
        finally:
            grabber.close()
