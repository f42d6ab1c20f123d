"""Endless responses: the MJPEG stream, the server-sent events, and the stream of the page, which has both.

Source of server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html

A chunk is sent only after the previous one has left this process (see :mod:`device_apps.web.server` for the buffer
limits), so a slow viewer skips frames and nothing queues up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from device_apps.web.live.broadcaster import EventBroadcaster
from device_apps.web.live.frame_encoder import EncodedFrame, FrameEncoder
from device_apps.web.live.jpeg import PLAIN, PREVIEW
from edge_ssd.console.counts import count

__all__ = [
    "LIVE",
    "MJPEG",
    "SSE",
    "ConnectionLimiter",
    "StreamingResponse",
    "live_parts",
    "mjpeg_parts",
    "sse_messages",
]

_BOUNDARY = "edge-ssd-frame"
MJPEG = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
SSE = "text/event-stream; charset=utf-8"
LIVE = "application/x-edge-ssd-live"

States: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
"""Returns the states that a new viewer gets first, by kind."""

KEEPALIVE_S = 15.0
"""Period of comments on a silent event stream; proxies close connections that are silent for longer."""

_FINAL_CHUNK_TIMEOUT_S = 0.1
_RETRY_DIRECTIVE = b"retry: 1000\n\n"  # Browsers reconnect after a second.
_LENGTHS = struct.Struct(">II")


class ConnectionLimiter:
    """Counter that admits ``limit`` simultaneous viewers; ``taken`` is their number at present."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Count a viewer while the context is entered; raise HTTPException with status 503 at the limit."""
        if self.taken >= self._limit:
            viewers = count(self._limit, "viewer", "is", "are")
            raise HTTPException(503, f"{viewers} connected; try again later", {"Retry-After": "5"})
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


class StreamingResponse(Response):
    """Response that sends ``chunks`` until the viewer (counted by ``limiter``) disconnects or ``closing`` is set."""

    def __init__(
        self, chunks: AsyncGenerator[bytes, None], media_type: str, limiter: ConnectionLimiter, closing: asyncio.Event
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers({"X-Accel-Buffering": "no"})  # nginx would buffer the stream.
        self._chunks = chunks
        self._limiter = limiter
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._limiter.take():
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if scope["method"] == "HEAD":
                await _end(send)
                return
            sending = asyncio.ensure_future(self._send(send))
            disconnected = asyncio.ensure_future(_wait_for_disconnect(receive))
            closing = asyncio.ensure_future(self._closing.wait())
            tasks = sending, disconnected, closing
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            # A browser keeps the last image of a stream that ended, but not of a connection that was cut.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(_end(send), _FINAL_CHUNK_TIMEOUT_S)
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Send) -> None:
        async with contextlib.aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                # send() waits for the previous data, so an empty chunk waits until this one has been sent.
                await send({"type": "http.response.body", "body": b"", "more_body": True})


async def mjpeg_parts(encoder: FrameEncoder) -> AsyncGenerator[bytes, None]:
    """Yield the parts of a ``multipart/x-mixed-replace`` body (RFC 2046 §5.1), each a JPEG of the newest frame."""
    number = 0
    separator = f"--{_BOUNDARY}\r\n".encode()
    yield separator
    while True:
        number, jpeg, *_ = await encoder.next_frame(PREVIEW, number)
        # Browsers show a part once they have read the boundary after it, so both are sent together.
        head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
        yield b"".join((head, jpeg, b"\r\n", separator))


async def sse_messages(
    broadcaster: EventBroadcaster, states: States, keepalive_s: float = KEEPALIVE_S
) -> AsyncGenerator[bytes, None]:
    """Yield server-sent events: ``states`` by kind, then published ones; a comment after ``keepalive_s`` of silence."""
    subscriber = broadcaster.subscribe(**await states())
    try:
        yield _RETRY_DIRECTIVE
        while True:
            try:
                messages = await asyncio.wait_for(subscriber.next_messages(), keepalive_s)
                yield "".join(f"event: {kind}\ndata: {data}\n\n" for kind, data in messages).encode()
            except asyncio.TimeoutError:
                yield b": keep-alive\n\n"
    finally:
        broadcaster.unsubscribe(subscriber)


async def live_parts(
    broadcaster: EventBroadcaster, encoder: FrameEncoder, states: States
) -> AsyncGenerator[bytes, None]:
    """Yield the messages of :func:`sse_messages` and the newest frames without boxes, over one connection.

    A browser has six connections to a host, for all of its tabs. A part is the lengths of its JSON and its JPEG (0 in
    a message), big-endian uint32 each, then both. The JSON has ``kind``, ``data``, and ``sent``, the time of
    ``time.monotonic()``; a frame has ``captured`` of the same clock, from which its age follows.
    """
    subscriber = broadcaster.subscribe(**await states())
    messages = asyncio.ensure_future(subscriber.next_messages())
    frame = asyncio.ensure_future(encoder.next_frame(PLAIN))
    try:
        while True:
            await asyncio.wait({messages, frame}, return_when=asyncio.FIRST_COMPLETED)
            if messages.done():
                yield b"".join(_live_part(kind, data) for kind, data in messages.result())
                messages = asyncio.ensure_future(subscriber.next_messages())
            if frame.done():
                number, jpeg, *_ = encoded = frame.result()
                yield _live_part("frame", json.dumps(_describe(encoded), separators=(",", ":")), jpeg)
                frame = asyncio.ensure_future(encoder.next_frame(PLAIN, number))
    finally:
        messages.cancel()
        frame.cancel()
        broadcaster.unsubscribe(subscriber)


def _live_part(kind: str, data: str, jpeg: bytes = b"") -> bytes:
    head = f'{{"kind":"{kind}","sent":{time.monotonic():.3f},"data":{data}}}'.encode()
    return b"".join((_LENGTHS.pack(len(head), len(jpeg)), head, jpeg))


def _describe(frame: EncodedFrame) -> dict[str, Any]:
    """Return the time and the detections of a frame as JSON types; boxes are in pixels of the whole frame."""
    found = frame.detections
    assert found is not None
    height, width = found.image_size
    return {
        "captured": round(frame.captured_at, 3),
        "size": [width, height],
        "detections": [[d.class_id, d.label, round(d.score, 4), [round(value, 1) for value in d.box]] for d in found],
    }


async def _end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b""})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
