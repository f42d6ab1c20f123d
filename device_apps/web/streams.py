"""Answers that go on for ever: the live picture and the feed of events.

Each viewer is sent the next thing only when the one before has left this process, see :mod:`device_apps.web.server`
for the limits of the buffers in between. One who is slow therefore skips; nothing is queued up for anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from device_apps.web.broadcaster import EventBroadcaster, first_bytes
from device_apps.web.frame_encoder import FrameEncoder
from device_apps.web.jpeg import PREVIEW

__all__ = ["MJPEG", "SSE", "ConnectionLimiter", "Stream", "live_picture", "messages"]

_BOUNDARY = "edge-ssd-frame"
MJPEG = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
SSE = "text/event-stream; charset=utf-8"

_SIGN_OF_LIFE_S = 15.0  # Proxies close connections that are silent for long.
_GOODBYE_S = 0.1  # For the last bytes to a viewer who may be slow.


class ConnectionLimiter:
    """So many may watch at once; more are told so."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.taken = 0

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """One seat, until left; raises a 503 when there is none."""
        if self.taken >= self._number:
            raise HTTPException(503, f"{self._number} are watching already; try again later", {"Retry-After": "5"})
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class Stream(Response):
    """A response that sends ``chunks`` until the viewer is gone or ``closing`` is set."""

    def __init__(
        self, chunks: AsyncGenerator[bytes, None], media_type: str, seats: ConnectionLimiter, closing: asyncio.Event
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers({"X-Accel-Buffering": "no"})  # nginx would collect it otherwise.
        self._chunks = chunks
        self._seats = seats
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._seats.take():
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await _end(send)
                return
            sending, leaving = asyncio.ensure_future(self._send(send)), asyncio.ensure_future(_gone(receive))
            closing = asyncio.ensure_future(self._closing.wait())
            tasks = sending, leaving, closing
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            # A browser keeps the last picture of a stream that ended, and none of one that broke off.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(_end(send), _GOODBYE_S)
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        async with contextlib.aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                # Sending waits until what was sent before is out; so this waits until the chunk is.
                await send({"type": "http.response.body", "body": b"", "more_body": True})


async def live_picture(pictures: FrameEncoder) -> AsyncGenerator[bytes, None]:
    """The parts of a ``multipart/x-mixed-replace`` body (RFC 2046 §5.1), each the newest picture at its time."""
    number = 0
    separator = f"--{_BOUNDARY}\r\n".encode()
    yield separator
    while True:
        number, jpeg = await pictures.newer(PREVIEW, number)
        # Browsers show a part when they see the boundary after it, so that is sent with the part.
        head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
        yield b"".join((head, jpeg, b"\r\n", separator))


async def messages(feed: EventBroadcaster, states: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
    """What a new listener of the feed is sent: ``states`` first."""
    listener = feed.join(**states)
    try:
        yield first_bytes()
        while True:
            try:
                yield await asyncio.wait_for(listener.next(), _SIGN_OF_LIFE_S)
            except asyncio.TimeoutError:
                yield b": still here\n\n"
    finally:
        feed.leave(listener)


async def _end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
