"""The feed: what a listener is sent, and what one who is slow is spared."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from device_apps.web import streams as web_streams
from device_apps.web.broadcaster import EventBroadcaster
from device_apps.web.log_once import log_once
from device_apps.web.pages import Page
from device_apps.web.streams import messages


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def test_the_format() -> None:
    async def listen() -> bytes:
        feed = EventBroadcaster()
        listener = feed.join(about={"source": "a\nb"})
        feed.publish_event({"kind": "enter"})
        return await listener.next()

    assert run(listen()) == b'event: about\ndata: {"source":"a\\nb"}\n\nevent: event\ndata: {"kind":"enter"}\n\n'


def test_of_states_the_newest_counts_and_of_events_the_last_hundred() -> None:
    async def listen() -> tuple[list[str], bytes]:
        feed = EventBroadcaster()
        slow, gone = feed.join(), feed.join()
        feed.leave(gone)
        for number in range(300):
            feed.publish_state("stats", number)
            feed.publish_event(number)
        assert len(feed) == 1
        assert not gone._events
        return (await slow.next()).decode().split("\n\n"), await feed.join(stats="older").next()

    seen, newcomer = run(listen())
    assert seen[0] == "event: stats\ndata: 299"
    assert seen[1:-1] == [f"event: event\ndata: {number}" for number in range(200, 300)]
    assert newcomer == b"event: stats\ndata: 299\n\n", "the state of now, and no event of before"


def test_a_listener_waits_and_is_shown_that_the_server_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_streams, "_SIGN_OF_LIFE_S", 0.05)

    async def listen() -> list[bytes]:
        feed = EventBroadcaster()
        stream = messages(feed, {})
        first = [await anext(stream), await anext(stream)]
        feed.publish_state("settings", 1)
        first.append(await anext(stream))
        await stream.aclose()
        assert len(feed) == 0, "who leaves is forgotten"
        return first

    assert run(listen()) == [b"retry: 1000\n\n", b": still here\n\n", b"event: settings\ndata: 1\n\n"]


def test_a_page_shows_its_message_as_text() -> None:
    body = Page("login.html").response(401, "<script>alert(1)</script>").body
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;" in bytes(body)
    assert b"<script" not in bytes(body)


def test_once() -> None:
    lines: list[str] = []
    say = log_once(lines.append)
    say("first")
    say("second")
    assert lines == ["first"]
