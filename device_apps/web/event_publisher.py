"""What the preview needs of those who keep track of events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

__all__ = ["Event", "Events"]


class Event(Protocol):
    """An object came or went; ``to_dict()`` is the JSON of it."""

    def to_dict(self) -> dict[str, Any]: ...


class Events(Protocol):
    """``recent`` has the last ones, newest last; whoever subscribes is called in the loop's thread for each, until the
    function that :meth:`subscribe` returned is called."""

    @property
    def recent(self) -> Iterable[Event]: ...
    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]: ...
