"""The interface of everything that publishes events."""

from __future__ import annotations

from typing import Protocol

from device_apps.events.event import Event

__all__ = ["EventPublisher"]


class EventPublisher(Protocol):
    """Publishes events to a file, a broker or a pin.

    Attributes:
        name: for messages and counters.
        lost: number of events that could not be kept.
        failure: the error that should end the loop, or None.
    """

    @property
    def name(self) -> str: ...
    @property
    def lost(self) -> int: ...
    @property
    def failure(self) -> BrokenPipeError | None: ...

    def publish(self, event: Event) -> None:
        """Take an event without blocking."""

    def close(self, deadline: float) -> None:
        """Finish by ``deadline`` (``time.monotonic()``); further calls do nothing."""
