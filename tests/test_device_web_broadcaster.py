"""Server-sent events: their format, and what a slow subscriber skips."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from device_apps.web.live.broadcaster import EventBroadcaster
from device_apps.web.live.streams import sse_messages
from device_apps.web.pages import Page


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def states(**values: Any) -> Callable[[], Coroutine[Any, Any, dict[str, Any]]]:
    async def current() -> dict[str, Any]:
        return values

    return current


def test_messages_are_server_sent_events() -> None:
    async def listen() -> bytes:
        broadcaster = EventBroadcaster()
        stream = sse_messages(broadcaster, states(about={"source": "a\nb"}))
        assert await anext(stream) == b"retry: 1000\n\n"
        broadcaster.publish_event({"kind": "enter"})
        return await anext(stream)

    assert run(listen()) == b'event: about\ndata: {"source":"a\\nb"}\n\nevent: event\ndata: {"kind":"enter"}\n\n'


def test_slow_subscriber_gets_newest_states_and_last_hundred_events() -> None:
    async def listen() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        broadcaster = EventBroadcaster()
        slow, removed = broadcaster.subscribe(), broadcaster.subscribe()
        broadcaster.unsubscribe(removed)
        for number in range(300):
            broadcaster.publish_state("stats", number)
            broadcaster.publish_event(number)
        assert len(broadcaster) == 1
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(removed.next_messages(), 0.01)
        later = broadcaster.subscribe(stats="measured now")
        return await slow.next_messages(), await later.next_messages()

    received, later = run(listen())
    assert received[0] == ("stats", "299")
    assert received[1:] == [("event", str(number)) for number in range(200, 300)]
    assert later == [("stats", '"measured now"')], "no state that was published before, and no earlier event"


def test_silent_stream_sends_keep_alives() -> None:
    async def listen() -> list[bytes]:
        broadcaster = EventBroadcaster()
        stream = sse_messages(broadcaster, states(), keepalive_s=0.05)
        first = [await anext(stream), await anext(stream)]
        broadcaster.publish_state("settings", 1)
        first.append(await anext(stream))
        await stream.aclose()
        assert len(broadcaster) == 0, "a subscriber that disconnects is removed"
        return first

    assert run(listen()) == [b"retry: 1000\n\n", b": keep-alive\n\n", b"event: settings\ndata: 1\n\n"]


def test_page_escapes_its_message() -> None:
    body = Page("login.html").response(401, "<script>alert(1)</script>").body
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;" in bytes(body)
    assert b"<script>alert" not in bytes(body)
