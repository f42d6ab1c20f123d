"""Messages to viewers: statistics every second, settings when they change, events as they happen.

A slow subscriber skips outdated statistics and settings and gets the last 100 events. Everything here runs in the
server's thread.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

__all__ = ["EventBroadcaster", "Subscriber"]

_MAX_PENDING_EVENTS = 100


class Subscriber:
    """Queue of the messages that one subscriber has not been sent yet."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._events: deque[str] = deque(maxlen=_MAX_PENDING_EVENTS)
        self._pending = asyncio.Event()

    def put_state(self, kind: str, data: str) -> None:
        """Queue a state (JSON) in a message named ``kind``; it replaces an unsent state of the same kind."""
        self._states[kind] = data
        self._pending.set()

    def put_event(self, data: str) -> None:
        """Queue an event (JSON); of more than 100 unsent events the oldest is dropped."""
        self._events.append(data)
        self._pending.set()

    async def next_messages(self) -> list[tuple[str, str]]:
        """Wait for messages and return all that are pending: (kind, JSON) of each."""
        await self._pending.wait()
        self._pending.clear()
        messages = [*self._states.items(), *(("event", data) for data in self._events)]
        self._states.clear()
        self._events.clear()
        return messages


class EventBroadcaster:
    """Broadcaster of messages to all subscribers.

    A state (statistics, settings) replaces an unsent one of its kind; an event is sent once.
    """

    def __init__(self) -> None:
        self._subscribers: set[Subscriber] = set()

    def __len__(self) -> int:
        return len(self._subscribers)

    def subscribe(self, **states: Any) -> Subscriber:
        """Return a new subscriber; its first messages are ``states``, by kind, as they are now."""
        subscriber = Subscriber()
        for kind, data in states.items():
            subscriber.put_state(kind, _json(data))
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)

    def publish_state(self, kind: str, data: Any) -> None:
        """Send ``data`` as JSON in a message named ``kind``; a slow subscriber gets only the newest of a kind."""
        text = _json(data)
        for subscriber in self._subscribers:
            subscriber.put_state(kind, text)

    def publish_event(self, data: Any) -> None:
        """Send ``data`` as JSON in a message named "event" to the current subscribers."""
        text = _json(data)
        for subscriber in self._subscribers:
            subscriber.put_event(text)


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))
