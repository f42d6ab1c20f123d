"""Entering a source that may not be there yet: at boot a program is up before its camera and its network are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from device_apps.sources.backoff import backoff
from device_apps.sources.frames import OnMessage, Source
from edge_ssd.errors import SourceError

__all__ = ["open_with_retry"]

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 10.0  # Between attempts; doubled each time.
_SLICE_S = 0.1


def open_with_retry(
    make: Callable[[], Source],
    stack: ExitStack,
    *,
    stop: threading.Event,
    notice: OnMessage,
    waiting: Callable[[str], None],
    retries: int | None = None,
) -> Source | None:
    """Make a source and enter it, again and again until that succeeds.

    Args:
        make: makes a fresh source for each attempt; may raise SourceError too.
        stack: leaves the source in the end.
        stop: when set, waiting ends soon and the result is None.
        notice: is told once why the source is not there, and again when the reason changes.
        waiting: is called ten times a second while waiting.
        retries: attempts after the first one, before the last error is raised; None means for ever.
    """
    said, attempts = "", 0
    while not stop.is_set():
        try:
            return stack.enter_context(make())
        except SourceError as error:
            if attempts == retries:
                raise
            if str(error) != said:
                said = str(error)
                notice(f"{said}; trying again until it is there")
        # Without chance: it was not lost by many at once, but is waited for by one.
        pause = backoff(attempts, first_s=_FIRST_WAIT_S, longest_s=_LONGEST_WAIT_S, draw=lambda: 0.0)
        end = time.monotonic() + pause
        # In slices: the main thread must not wait on the event that its own signal handlers set.
        while not stop.is_set() and time.monotonic() < end:
            waiting("waiting for the source")
            time.sleep(_SLICE_S)
        attempts += 1
    return None
