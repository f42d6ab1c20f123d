"""Ctrl-C and the signals that end a service, turned into an event that loops look at."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["stop_on_signals"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # SIGHUP: the terminal or the ssh connection went away.


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGINT, SIGTERM or SIGHUP sets; the handlers of before come back afterwards.

    They also come back at the first signal, so that a second Ctrl-C ends a process that is stuck. Signals that
    the process was started to ignore (``nohup``) stay ignored. Outside the main thread, where Python cannot
    handle signals, the event is set by nobody.

    The main thread may look at the event but never wait on it: the handler runs in that thread, and would then
    wait for a lock that it holds itself.
    """
    event = threading.Event()
    before: dict[int, signal.Handlers | int | object] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def handle(number: int, frame: FrameType | None) -> None:
        restore()
        event.set()

    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.getsignal(number)
                signal.signal(number, handle)
    try:
        yield event
    finally:
        restore()
