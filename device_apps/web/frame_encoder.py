"""The newest picture for everybody who watches, made in one thread, once for all, and only while somebody waits for it.

The loop's part is to leave each result here, which costs it a microsecond. A viewer asks for a picture newer than the
last one it was sent; one who is slow asks less often, and what was seen meanwhile by others it never gets.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from device_apps.results import FrameResult
from device_apps.web.jpeg import JpegProfile, draw_result, encode
from device_apps.web.log_once import log_once

__all__ = ["FrameEncoder", "Picture"]

_JOIN_S = 0.5  # Far more than one picture takes.


class Picture(NamedTuple):
    """An encoded result; ``number`` grows with each result, encoded or not."""

    number: int
    jpeg: bytes


_NOTHING = Picture(0, b"")


class FrameEncoder:
    """The sink that the loop writes to, and the encoder behind it; a context manager.

    Args:
        fps: pictures a second at most.
        record: is told the milliseconds of each drawing.
        notice: is told once when a picture cannot be made.
    """

    finished = False

    def __init__(
        self,
        fps: float,
        record: Callable[[str, float], None] = lambda stage, milliseconds: None,
        notice: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._period = 1 / fps
        self._record = record
        self._notice = log_once(notice)
        self._thread = threading.Thread(target=self._run, name="web pictures", daemon=True)
        self.last_result_at: float | None = None
        self.last_turn_at: float | None = None
        # The condition guards what follows.
        self._changed = threading.Condition()
        self._result: FrameResult | None = None
        self._number = 0
        self._wanted: dict[JpegProfile, int] = {}  # By kind: the number that somebody has, who waits for a higher one.
        self._hungry = False  # The thread waits for a result; otherwise it is not woken up by one.
        self._closing = False
        # The server's loop, and what only its thread touches: the last picture of each kind, and who waits.
        self._server: asyncio.AbstractEventLoop | None = None
        self._last: dict[JpegProfile, Picture] = {}
        self._waiting: dict[JpegProfile, set[asyncio.Future[Picture]]] = {}

    # What the loop calls.

    def write(self, result: FrameResult) -> None:
        """Leave a result here, in place of the one before."""
        with self._changed:
            self._result = result
            self._number += 1
            if self._hungry:
                self._changed.notify()
        self.last_result_at = self.last_turn_at = time.monotonic()

    def idle(self) -> None:
        """The loop is alive, though there is no new frame."""
        self.last_turn_at = time.monotonic()

    # What the server calls, in its thread.

    def serve(self, server: asyncio.AbstractEventLoop) -> None:
        """Say in which loop :meth:`newer` will be awaited."""
        self._server = server

    async def newer(self, kind: JpegProfile, number: int = 0) -> Picture:
        """The newest result as a picture, as soon as there is one after ``number``."""
        picture = self._last.get(kind, _NOTHING)
        if picture.number > number and picture.number == self._number:
            return picture
        assert self._server is not None
        future: asyncio.Future[Picture] = self._server.create_future()
        self._waiting.setdefault(kind, set()).add(future)
        with self._changed:
            self._wanted[kind] = min(number, self._wanted.get(kind, number))
            self._changed.notify()
        try:
            return await future
        finally:
            self._waiting[kind].discard(future)

    # The thread.

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
                while not self._closing and not (kinds := self._due()):
                    self._hungry = bool(self._wanted)
                    self._changed.wait()
                self._hungry = False
                if self._closing:
                    return
                result, number = self._result, self._number
                for kind in kinds:
                    del self._wanted[kind]
            next_at = time.monotonic() + self._period
            assert result is not None
            for kind in kinds:
                self._make(kind, result, number)

    def _due(self) -> list[JpegProfile]:
        return [kind for kind, number in self._wanted.items() if number < self._number]

    def _make(self, kind: JpegProfile, result: FrameResult, number: int) -> None:
        start = time.perf_counter()
        try:
            image = draw_result(result, kind)
            self._record("draw", (time.perf_counter() - start) * 1e3)
            picture = Picture(number, encode(image, kind.quality))
        except Exception as error:  # Whatever it is: the viewers go without, the loop goes on.
            self._notice(f"web: a picture cannot be encoded: {type(error).__name__}: {error}")
            with self._changed:
                self._wanted.setdefault(kind, number)  # Those who wait get the next result.
            return
        assert self._server is not None
        with contextlib.suppress(RuntimeError):  # The server has ended meanwhile.
            self._server.call_soon_threadsafe(self._publish, kind, picture)

    def _publish(self, kind: JpegProfile, picture: Picture) -> None:
        self._last[kind] = picture
        for future in self._waiting.get(kind, ()):
            if not future.done():
                future.set_result(picture)
