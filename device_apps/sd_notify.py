"""Telling systemd how the program is: sd_notify(3), in Python's standard library.

Where no service manager asks (``NOTIFY_SOCKET`` is not set) nothing is sent.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from types import TracebackType

from device_apps.results import FrameResult
from device_apps.stats import Stats

__all__ = ["SystemdNotifier", "notify", "watchdog_seconds"]

_STATUS_S = 10.0


def notify(message: str) -> bool:
    """Send lines such as "READY=1"; False where nobody asks, or nobody takes it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # An abstract socket: unix(7).
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1.0)
            sender.connect(address)
            sender.sendall(message.encode())
    except OSError:
        return False
    return True


def watchdog_seconds() -> float | None:
    """How often at least systemd wants to hear of this process, sd_watchdog_enabled(3); None when it does not."""
    with contextlib.suppress(KeyError, ValueError):
        if os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            microseconds = int(os.environ["WATCHDOG_USEC"])
            return microseconds / 1e6 if microseconds > 0 else None
    return None


class SystemdNotifier:
    """A sink that reports to systemd: ready, alive, how fast, stopping. A context manager.

    The loop itself feeds the watchdog, through :meth:`write` and :meth:`idle`: a process that hangs, in the network
    or in a sink, goes silent and is started anew. While a source is being looked for again the loop goes round, so
    a camera that is unplugged is no reason to be killed.

    Args:
        stats: what the status line tells of.
        clock: seconds, increasing.
    """

    finished = False

    def __init__(self, stats: Stats | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stats = stats
        self._clock = clock
        limit = watchdog_seconds()
        self._period = None if limit is None else limit / 4
        self._ready = False
        self._fed_at = self._told_at = -float("inf")

    def write(self, result: FrameResult) -> None:
        self._go_on()

    def idle(self) -> None:
        self._go_on()

    def waiting(self, line: str) -> None:
        """The source is not there yet and is being tried again: that is what a service does, so it is ready."""
        self._go_on(line)

    def __enter__(self) -> SystemdNotifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        notify("STOPPING=1")

    def _go_on(self, status: str | None = None) -> None:
        now = self._clock()
        lines = []
        if not self._ready:
            self._ready = True
            lines.append("READY=1")
        if self._period is not None and now - self._fed_at >= self._period:
            self._fed_at = now
            lines.append("WATCHDOG=1")
        if now - self._told_at >= _STATUS_S:
            self._told_at = now
            lines.append(f"STATUS={status or self._status()}")
        if lines:
            notify("\n".join(lines))

    def _status(self) -> str:
        fps = None if self.stats is None else self.stats.fps
        return "waiting for frames" if fps is None else f"{fps:.1f} frames a second"
