"""A clock that tests set, and waiting for conditions."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Clock that stands at ``now``, in seconds."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until ``condition()`` holds; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition does not hold after {seconds} s"
        time.sleep(0.005)
