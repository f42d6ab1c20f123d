"""Open a source that may not be available yet, such as a camera while the machine boots."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from device_apps.retry import FailureLog, backoff
from device_apps.sources.frames import Source
from edge_ssd.errors import SourceError

__all__ = ["open_with_retry"]

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
# 1, 2, 4, 8, then 10 seconds. Without jitter: one device waits for its own camera.
_PAUSE = partial(backoff, base=1.0, maximum=10.0, draw=lambda: 0.0)


def open_with_retry(
    make_source: Callable[[], Source],
    stack: ExitStack,
    *,
    stop: threading.Event,
    on_wait: Callable[[str], None],
    retries: int | None = None,
    deadline: float | None = None,
    pause: Callable[[int], float] = _PAUSE,
) -> Source | None:
    """Create a source and enter it in ``stack``, retrying until it succeeds; each new reason for a failure is logged.

    Raises the SourceError of the last attempt.

    Args:
        make_source: returns a new source for each attempt; may raise SourceError.
        stop: when set, waiting ends soon and the result is None.
        on_wait: called with a status text ten times a second while waiting.
        retries: attempts after the first one; None for no limit.
        deadline: end of the attempts, a time of ``time.monotonic()``; None for no limit.
        pause: returns the seconds to wait after attempt 0, 1, 2, …
    """
    failures, attempts = FailureLog(_log), 0
    while not stop.is_set():
        try:
            return stack.enter_context(make_source())
        except SourceError as error:
            if attempts == retries or (deadline is not None and time.monotonic() >= deadline):
                raise
            failures.failed(f"{error}; retrying until it is available", cause=str(error))
        end = time.monotonic() + pause(attempts)
        end = end if deadline is None else min(end, deadline)
        # The event is polled: waiting for it would deadlock with the signal handler that sets it in this thread.
        while not stop.is_set() and (remaining := end - time.monotonic()) > 0:
            on_wait("waiting for the source")
            time.sleep(min(remaining, _POLL_SECONDS))
        attempts += 1
    return None
