"""Encoder of the newest result as JPEG for all viewers, in one thread, only while a viewer waits for it.

The camera loop only hands over a reference to each result, which takes a microsecond. A viewer asks for a frame newer
than the last one it was sent, so a slow viewer skips frames.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from device_apps.daemon_thread import DaemonThread
from device_apps.jpeg import encode_jpeg
from device_apps.machine import return_free_memory
from device_apps.results import FrameResult
from device_apps.retry import FailureLog
from device_apps.web.live.jpeg import JpegProfile, render
from edge_ssd.runtime.detections import Detections

__all__ = ["EncodedFrame", "FrameEncoder"]

_log = logging.getLogger(__name__)

_LARGE_BYTES = 16_000_000  # Of a 4K image 25 MB. Decoding it takes several times as much.
_JOIN_S = 0.5  # Far more than encoding one frame takes.


class EncodedFrame(NamedTuple):
    """JPEG of a result.

    Attributes:
        number: position of the result among all results, encoded or not, from 1.
        captured_at: ``Frame.captured_at`` of the result, in seconds.
        detections: of the result, in pixels of the whole frame; None without one.
    """

    number: int
    jpeg: bytes
    captured_at: float = 0.0
    detections: Detections | None = None


_NO_FRAME = EncodedFrame(0, b"")


class FrameEncoder:
    """Sink of the camera loop that encodes results for viewers; a context manager.

    Args:
        fps: maximum number of encoded frames per second.
        record: called with "draw" and the milliseconds of each drawing.

    Attributes:
        last_result_at, last_turn_at: ``time.monotonic()`` of the last result, and of the last result or idle turn of
            the loop; None before the first one.
    """

    finished = False

    def __init__(self, fps: float, record: Callable[[str, float], None] = lambda stage, milliseconds: None) -> None:
        self._period = 1 / fps
        self._record = record
        self._warn = FailureLog(_log).failed
        self._thread = DaemonThread(self._run, "web encoder")
        self.last_result_at: float | None = None
        self.last_turn_at: float | None = None
        # The condition guards what follows.
        self._changed = threading.Condition()
        self._result: FrameResult | None = None
        self._number = 0
        self._requested: dict[JpegProfile, int] = {}  # A frame after this number is requested.
        self._waiting = False  # The thread waits for a result; otherwise a result does not wake it.
        self._closing = False
        # Used in the server's thread only: its event loop, the last frame of each profile, and the pending requests.
        self._server: asyncio.AbstractEventLoop | None = None
        self._last: dict[JpegProfile, EncodedFrame] = {}
        self._futures: dict[JpegProfile, set[asyncio.Future[EncodedFrame]]] = {}

    # Called by the camera loop.

    def write(self, result: FrameResult) -> None:
        """Make ``result`` the one that is encoded next; an older one that waits is skipped."""
        with self._changed:
            self._result = result
            self._number += 1
            if self._waiting:
                self._changed.notify()
        self.last_result_at = self.last_turn_at = time.monotonic()

    def idle(self) -> None:
        """Note that the loop runs although there is no new frame."""
        self.last_turn_at = time.monotonic()

    # Called in the server's thread.

    def attach(self, server: asyncio.AbstractEventLoop) -> None:
        """Set the event loop of the server, in which :meth:`next_frame` is awaited."""
        self._server = server

    async def next_frame(self, profile: JpegProfile, after: int = 0) -> EncodedFrame:
        """Wait for a result numbered above ``after``; return the newest, at the size and quality of ``profile``."""
        frame = self._last.get(profile, _NO_FRAME)
        if frame.number > after and frame.number == self._number:
            return frame
        assert self._server is not None
        future: asyncio.Future[EncodedFrame] = self._server.create_future()
        self._futures.setdefault(profile, set()).add(future)
        with self._changed:
            self._requested[profile] = min(after, self._requested.get(profile, after))
            self._changed.notify()
        try:
            return await future
        finally:
            self._futures[profile].discard(future)
            if not self._futures[profile]:
                with self._changed:
                    self._requested.pop(profile, None)  # No viewer is waiting.

    # The encoder thread.

    def __enter__(self) -> FrameEncoder:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        next_at = 0.0
        while True:
            with self._changed:
                while not self._closing and (wait_s := next_at - time.monotonic()) > 0:
                    self._changed.wait(wait_s)
                while not self._closing and not (profiles := self._due()):
                    self._waiting = bool(self._requested)
                    self._changed.wait()
                self._waiting = False
                if self._closing:
                    return
                result, number = self._result, self._number
                for profile in profiles:
                    del self._requested[profile]
            next_at = time.monotonic() + self._period
            assert result is not None
            for profile in profiles:
                self._encode(profile, result, number)

    def _due(self) -> list[JpegProfile]:
        return [profile for profile, number in self._requested.items() if number < self._number]

    def _encode(self, profile: JpegProfile, result: FrameResult, number: int) -> None:
        start = time.perf_counter()
        try:
            image = render(result, profile)
            self._record("draw", (time.perf_counter() - start) * 1e3)
            jpeg = encode_jpeg(image, profile.quality)
            frame = EncodedFrame(number, jpeg, result.frame.captured_at, result.detections)
            large = image.nbytes > _LARGE_BYTES
            del image
            if large:
                return_free_memory()
        except Exception as error:  # The camera loop must not end because of the preview.
            self._warn(f"web: a frame cannot be encoded: {type(error).__name__}: {error}")
            with self._changed:
                self._requested.setdefault(profile, number)  # The waiting viewers get the next result.
            return
        assert self._server is not None
        with contextlib.suppress(RuntimeError):  # The server has ended.
            self._server.call_soon_threadsafe(self._publish, profile, frame)

    def _publish(self, profile: JpegProfile, frame: EncodedFrame) -> None:
        self._last[profile] = frame
        for future in self._futures.get(profile, ()):
            if not future.done():
                future.set_result(frame)
