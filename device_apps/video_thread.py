"""Sink that writes the video of a live source in a thread, so that the loop does not wait for the encoder."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from device_apps.daemon_thread import DaemonThread
from device_apps.results import FrameResult
from device_apps.retrying_sink import RetryingSink
from device_apps.scaled_result import limit_width, limited_size
from edge_ssd.errors import EdgeSSDError

__all__ = ["VideoThread"]

_log = logging.getLogger(__name__)

_MAX_BYTES = 32 * 1024 * 1024  # Of the waiting frames, before they are scaled: one of 3840×2160.
_MAX_FRAMES = 30
_FLUSH_SECONDS = 1.0  # A service must end within two seconds after SIGTERM.
_ABANDON_SECONDS = 5.0
_IDLE_SECONDS = 0.5


class VideoThread:
    """Sink that passes results to another sink in a thread; a context manager, which writes what waits.

    A frame that finds the queue full is dropped: the encoder is slower than the loop. It is counted, and logged at the
    first one and at the end. Frames keep their times, so the video plays in real time all the same.

    Frames wider than ``max_width`` pixels are scaled down, which is logged: an encoder needs as much memory and time as
    the rest of the program for frames of 3840×2160.

    Attributes:
        lost: number of results that could not be written, as of the sink. Dropped frames are not among them.
        dropped: number of dropped frames.
    """

    def __init__(self, sink: RetryingSink, name: str, max_width: int) -> None:
        self.dropped = 0
        self._max_width = max_width
        self._scaling_logged = False
        self._sink = sink
        self._name = name
        self._failure: BaseException | None = None
        self._changed = threading.Condition()  # Guards everything below.
        self._waiting: deque[FrameResult] = deque()
        self._closing = False
        self._thread = DaemonThread(self._run, f"writer of {name}")
        self._thread.start()

    @property
    def lost(self) -> int:
        return self._sink.lost

    @property
    def finished(self) -> bool:
        return self._sink.finished

    def write(self, result: FrameResult) -> None:
        self._raise_failure()
        height, width = result.frame.size
        capacity = min(max(_MAX_BYTES // (3 * height * width), 1), _MAX_FRAMES)
        with self._changed:
            if len(self._waiting) < capacity:
                # Scaled here, a large frame is free for the next one. Decoding it first is left to the thread.
                scale_now = result.frame.pixels.shape[1] >= self._max_width
                self._waiting.append(self._limit_size(result) if scale_now else result)
                self._changed.notify()
                return
        self.dropped += 1
        if self.dropped == 1:
            _log.warning(
                "%s: frames come faster than they can be encoded; some are dropped from the video "
                "(a smaller --width and --height, or a smaller stream, needs less)",
                self._name,
            )

    def idle(self) -> None:
        self._raise_failure()

    def __enter__(self) -> VideoThread:
        return self

    def __exit__(self, *error: object) -> None:
        deadline = time.monotonic() + _FLUSH_SECONDS
        with self._changed:
            self._closing = True
            self._changed.notify()
            self._changed.wait_for(lambda: not self._waiting, _FLUSH_SECONDS)
            self.dropped += len(self._waiting)
            self._waiting.clear()
        self._thread.join(max(0.0, deadline - time.monotonic()) + _ABANDON_SECONDS)
        if self.dropped:
            _log.warning("%s: frames dropped from the video: %d", self._name, self.dropped)
        if self._thread.is_alive():
            raise EdgeSSDError(f"{self._name}: the video is not finished: its disk does not respond")
        if error[0] is None:
            self._raise_failure()

    def _limit_size(self, result: FrameResult) -> FrameResult:
        height, width = result.frame.size
        if width > self._max_width and not self._scaling_logged:
            self._scaling_logged = True
            size = limited_size((height, width), self._max_width)
            _log.info(
                "%s: frames of %d×%d are recorded at %d×%d; --save-video-width %d keeps their size",
                self._name, width, height, size[1], size[0], width,
            )  # fmt: skip
        return limit_width(result, self._max_width)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _run(self) -> None:
        while True:
            try:
                result = self._next()
                if result is None:
                    return
                self._sink.write(self._limit_size(result))
            except Exception as error:  # Raised in the loop, which ends.
                self._failure = error
                return

    def _next(self) -> FrameResult | None:
        """Return the next result, and None at the end; without results, the sink is idle twice a second."""
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._waiting or self._closing, _IDLE_SECONDS):
                    break
            self._sink.idle()
        with self._changed:
            if not self._waiting:
                return None
            result = self._waiting.popleft()
            self._changed.notify()
            return result
