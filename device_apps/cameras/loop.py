"""Loop over several cameras: one frame of each in turn, so that none waits for more than one frame of each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from device_apps.daemon_thread import DaemonThread

__all__ = ["TakesTurns", "run_turns"]

_TURN_TIMEOUT_S = 0.05  # Maximum wait for a frame, so that signals are handled and sinks are idle in time.


class TakesTurns(Protocol):
    """What the loop needs of a camera."""

    @property
    def ended(self) -> bool: ...

    def take_turn(self) -> bool:
        """Process a frame if there is one, without waiting for it; return whether there was one."""

    def close(self) -> None:
        """Finish after the last turn, once; a second call waits for the first."""


def run_turns(
    cameras: Sequence[TakesTurns],
    *,
    stop: threading.Event,
    wake: threading.Event,
    on_turn: Callable[[], None],
    duration: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> BrokenPipeError | None:
    """Give each camera its turn until all have ended, ``stop`` is set, or ``duration`` seconds have passed.

    A camera that ends is closed at once, in a thread. A closed pipe of standard output ends the loop, and is returned.

    Args:
        wake: set by the sources when a frame has come.
        on_turn: called after each round.
    """
    running = list(cameras)
    end = None if duration is None else clock() + duration
    while running and not stop.is_set() and not (end is not None and clock() >= end):
        wake.clear()
        busy = False
        for camera in tuple(running):
            try:
                busy |= camera.take_turn()
            except BrokenPipeError as error:
                return error
            if camera.ended:
                running.remove(camera)
                # Which may take seconds.
                DaemonThread(camera.close, "close").start()
            if stop.is_set():
                break
        on_turn()
        if not busy:
            wake.wait(_TURN_TIMEOUT_S)
    return None
