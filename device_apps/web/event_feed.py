"""Interface of the events that the preview shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

__all__ = ["EventFeed", "SupportsToDict"]


class SupportsToDict(Protocol):
    """An enter or leave event; ``to_dict()`` returns plain JSON types."""

    def to_dict(self) -> dict[str, Any]: ...


class EventFeed(Protocol):
    """Recent events, and a subscription to new ones.

    Attributes:
        recent: the last events, newest last.
    """

    @property
    def recent(self) -> Iterable[SupportsToDict]: ...
    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call ``callback`` with each new event, in the thread of the loop; return a function that unsubscribes."""
