"""Interface of the event publishers."""

from __future__ import annotations

from typing import Protocol

from device_apps.events.event import Event

__all__ = ["EventPublisher"]


class EventPublisher(Protocol):
    """Interface of a publisher of events, to a file, a broker or a pin.

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
        """Publish or queue an event, without blocking."""

    def close(self, deadline: float) -> None:
        """Publish what is queued and close by ``deadline`` (``time.monotonic()``); further calls do nothing."""
