"""Stop event that is set by Ctrl-C and by the signals that end a service."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["stop_on_signals"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # SIGHUP: the terminal or the SSH connection was closed.


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGINT, SIGTERM or SIGHUP sets; restore the previous handlers afterwards.

    The first signal restores the handlers too, so that a second Ctrl-C ends a process that is stuck. Signals that the
    process was started to ignore (``nohup``) stay ignored. Outside the main thread Python cannot handle signals, and
    the event is never set.

    The main thread may check the event but must not wait for it: the handler runs in the same thread and would
    deadlock on the lock of the event.
    """
    event = threading.Event()
    previous: dict[int, signal.Handlers | int | object] = {}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        event.set()

    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.getsignal(number)
                signal.signal(number, handle)
    try:
        yield event
    finally:
        restore()
