"""Status messages to systemd: sd_notify(3), with Python's standard library.

Nothing is sent without a service manager (``NOTIFY_SOCKET`` is not set).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable

from device_apps.results import FrameResult
from device_apps.stats import Stats

__all__ = ["SystemdNotifier", "notify", "watchdog_seconds"]

_STATUS_INTERVAL = 10.0  # seconds


def notify(message: str) -> bool:
    """Send lines such as "READY=1" to systemd; return False without a service manager, or if sending fails."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # An abstract socket: unix(7).
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1.0)
            sender.connect(address)
            sender.sendall(message.encode("utf-8", "replace"))
    except OSError:
        return False
    return True


def watchdog_seconds() -> float | None:
    """Return the watchdog timeout of systemd, sd_watchdog_enabled(3); None without a watchdog."""
    with contextlib.suppress(KeyError, ValueError):
        if os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            microseconds = int(os.environ["WATCHDOG_USEC"])
            return microseconds / 1e6 if microseconds > 0 else None
    return None


class SystemdNotifier:
    """Sink that sends readiness, watchdog keep-alives, the frame rate and the end to systemd; a context manager.

    The loop itself sends the keep-alives, through :meth:`write` and :meth:`idle`: systemd restarts a process whose
    loop hangs, in the network or in a sink. The loop also runs while a lost source is reopened, so an unplugged camera
    causes no restart. The frame rate is that of ``stats``, which may be set later,
    unless ``describe`` is set: a function that returns the status.
    """

    finished = False

    def __init__(self, stats: Stats | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stats = stats
        self.describe: Callable[[], str] | None = None
        self._clock = clock
        timeout = watchdog_seconds()
        self._keep_alive_interval = None if timeout is None else timeout / 4
        self._ready = False
        self._keep_alive_at = self._status_at = -float("inf")

    def write(self, result: FrameResult) -> None:
        self._notify()

    def idle(self) -> None:
        self._notify()

    def waiting(self, line: str) -> None:
        """Report the status ``line`` while the source is not open yet; the service counts as ready."""
        self._notify(line)

    def __enter__(self) -> SystemdNotifier:
        return self

    def __exit__(self, *error: object) -> None:
        notify("STOPPING=1")

    def _notify(self, status: str | None = None) -> None:
        now = self._clock()
        lines = []
        if not self._ready:
            self._ready = True
            lines.append("READY=1")
        if self._keep_alive_interval is not None and now - self._keep_alive_at >= self._keep_alive_interval:
            self._keep_alive_at = now
            lines.append("WATCHDOG=1")
        if now - self._status_at >= _STATUS_INTERVAL:
            self._status_at = now
            lines.append(f"STATUS={status or self._status()}")
        if lines:
            notify("\n".join(lines))

    def _status(self) -> str:
        if self.describe is not None:
            return self.describe()
        fps = None if self.stats is None else self.stats.fps
        return "waiting for frames" if fps is None else f"{fps:.1f} frames per second"
