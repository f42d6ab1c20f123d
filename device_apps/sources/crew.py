"""The capture threads of one device, of which one at most is listened to.

Who was giving frames when it stalled is never listened to again: what it still holds is old. Who is slow to open may
yet be the first to give a frame, while another attempt is made beside it: a camera that needs long must not be given
up over and over just before it is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from device_apps.sources.frames import Image
from device_apps.sources.grabbing import CaptureThread, FrameReader
from device_apps.sources.latest_frame import LatestFrameBuffer

__all__ = ["CapturePool"]


class CapturePool:
    """Starts capture threads, and puts the frames of the one that is listened to into the slot.

    Attributes:
        live: of the device, as it was first opened.
        fps: of the device, as it was last opened.
        openings: how many gave a frame.
    """

    def __init__(self, open_grabber: Callable[[], FrameReader], name: str, slot: LatestFrameBuffer) -> None:
        self.live = True
        self.fps: float | None = None
        self.openings = 0
        self._open = open_grabber
        self._name = name
        self._slot = slot
        # The condition guards everything below; one thread waits for it, the keeper's.
        self._news = threading.Condition()
        self._closing = False
        self._running: list[CaptureThread] = []
        self._current: CaptureThread | None = None
        self._frame_at = 0.0

    @property
    def connected(self) -> bool:
        """True while one gives frames."""
        return self._current is not None

    @property
    def closing(self) -> bool:
        """True once nobody is listened to any more."""
        return self._closing

    @property
    def running(self) -> int:
        """How many threads there are, those included that are stuck."""
        return len(self._running)

    def start(self) -> CaptureThread:
        """One more thread, that opens the device."""
        grabbing = CaptureThread(self._open, self, self._name)
        with self._news:  # Which the thread needs before it can end, and be taken from the list.
            grabbing.start()
            self._running.append(grabbing)
        return grabbing

    def wait(self, condition: Callable[[], bool], seconds: float | None) -> bool:
        """Until the condition holds, which is the answer, all is closed, or so many seconds are over."""
        with self._news:
            self._news.wait_for(lambda: self._closing or condition(), seconds)
            return condition()

    def watch(self, stall_timeout: float) -> tuple[CaptureThread, bool] | None:
        """Until the one that is listened to ends or, if it is live, gives nothing for so long; it is then left.

        Gives that one and whether it is stuck, or None when all is closed.
        """
        with self._news:
            current = self._current
            while current is not None and not (self._closing or current.over):
                rest = self._frame_at + stall_timeout - time.monotonic() if self.live else None
                if rest is not None and rest <= 0:
                    break
                self._news.wait(rest)
            if self._closing or current is None:
                return None
            self._current, current.left = None, True
            return current, not current.over

    def close(self) -> None:
        """Listen to nobody any more."""
        with self._news:
            self._closing, self._current = True, None
            self._news.notify()

    def join(self, seconds: float) -> None:
        """Wait for all threads' end, so many seconds at most."""
        with self._news:
            running = tuple(self._running)
        end = time.monotonic() + seconds
        for grabbing in running:
            grabbing.join(max(end - time.monotonic(), 0.0))

    # What a capture thread says: this is its owner.

    def opened(self, grabbing: CaptureThread, grabber: FrameReader) -> bool:
        """See :class:`~device_apps.sources.grabbing.Owner`."""
        with self._news:
            if self.openings == 0:
                self.live = grabber.live
            self.fps = grabber.fps
            return self._wants(grabbing)

    def give(self, grabbing: CaptureThread, image: Image, captured_at: float, read_seconds: float) -> bool:
        """See :class:`~device_apps.sources.grabbing.Owner`."""
        with self._news:
            if not self._wants(grabbing):
                return False
            if self._current is None:
                self._listen_to(grabbing)
            self._frame_at = captured_at
            if self.live:  # Under the lock, so that no frame of a thread that was left slips in.
                self._slot.put(image, captured_at, read_seconds, in_turn=False)
                return True
        self._slot.put(image, captured_at, read_seconds, in_turn=True)
        return True

    def ended(self, grabbing: CaptureThread, error: Exception | None) -> None:
        """See :class:`~device_apps.sources.grabbing.Owner`."""
        with self._news:
            grabbing.over, grabbing.error = True, error
            self._running.remove(grabbing)
            self._news.notify()

    def _wants(self, grabbing: CaptureThread) -> bool:
        return not (self._closing or grabbing.left)

    def _listen_to(self, grabbing: CaptureThread) -> None:
        self._current = grabbing
        self.openings += 1
        for other in self._running:
            other.left = other is not grabbing
        self._news.notify()
