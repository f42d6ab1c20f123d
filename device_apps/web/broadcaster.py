"""Server-sent events: numbers once a second, settings when they change, events as they happen.

Source of the format: https://html.spec.whatwg.org/multipage/server-sent-events.html

A listener who reads slowly gets the newest numbers and settings, not all of them, and the last hundred events.
Everything here runs in the server's thread.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

__all__ = ["EventBroadcaster", "Subscriber", "first_bytes"]

_MOST_EVENTS = 100  # That a listener may be behind.
_RECONNECT_MS = 1000


class Subscriber:
    """What one listener has yet to be sent."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._events: deque[str] = deque(maxlen=_MOST_EVENTS)
        self._something = asyncio.Event()

    def put_state(self, kind: str, data: str) -> None:
        """Something of which only the newest counts."""
        self._states[kind] = data
        self._something.set()

    def put_event(self, data: str) -> None:
        """Something of which each counts."""
        self._events.append(data)
        self._something.set()

    async def next(self) -> bytes:
        """All that has come together since the last time, as soon as there is something."""
        await self._something.wait()
        self._something.clear()
        messages = [_message(kind, data) for kind, data in self._states.items()]
        messages += [_message("event", data) for data in self._events]
        self._states.clear()
        self._events.clear()
        return "".join(messages).encode()


class EventBroadcaster:
    """All listeners, and the state that a new one is told first."""

    def __init__(self) -> None:
        self._listeners: set[Subscriber] = set()
        self._states: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self, **states: Any) -> Subscriber:
        """A new listener; its first message has the states that are given and those that were published last."""
        listener = Subscriber()
        for kind, data in states.items():
            listener.put_state(kind, _json(data))
        for kind, text in self._states.items():
            listener.put_state(kind, text)
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Subscriber) -> None:
        self._listeners.discard(listener)

    def publish_state(self, kind: str, data: Any) -> None:
        """Replace a state."""
        text = self._states[kind] = _json(data)
        for listener in self._listeners:
            listener.put_state(kind, text)

    def publish_event(self, data: Any) -> None:
        """Tell all who listen; who comes later will not hear of it."""
        text = _json(data)
        for listener in self._listeners:
            listener.put_event(text)


def first_bytes() -> bytes:
    """What begins a stream: how soon a browser that lost it shall come back."""
    return f"retry: {_RECONNECT_MS}\n\n".encode()


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))


def _message(kind: str, data: str) -> str:
    return f"event: {kind}\ndata: {data}\n\n"
