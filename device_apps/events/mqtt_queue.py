"""What the rest of the program leaves for the thread that talks to the broker."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

__all__ = ["OutgoingQueue"]


class OutgoingQueue:
    """The latest value of each retained topic, a bell to wake the thread, and when to stop. Any thread may call."""

    def __init__(self) -> None:
        self._retained: dict[str, str] = {}
        self._changed: set[str] = set()
        self._lock = threading.Lock()  # of the two above
        self.bell, self._rope = socket.socketpair()  # A socket, since the thread waits for the network's as well.
        self.bell.setblocking(False)
        self._rope.setblocking(False)
        self.stop = threading.Event()
        self._deadline = float("inf")

    def retain(self, topic: str, payload: str) -> None:
        """Give a retained topic a value."""
        with self._lock:
            if self._retained.get(topic) != payload:
                self._retained[topic] = payload
                self._changed.add(topic)
        self.ring()

    def renew(self) -> None:
        """Have every topic published again: the broker may have forgotten them."""
        with self._lock:
            self._changed.update(self._retained)

    def take(self) -> dict[str, str]:
        """The topics that changed since they were taken last, and their values."""
        with self._lock:
            taken = {topic: payload for topic, payload in self._retained.items() if topic in self._changed}
            self._changed.clear()
        return taken

    def __bool__(self) -> bool:
        """Whether there is something to take."""
        return bool(self._changed)

    def ring(self) -> None:
        """Wake the thread: there is something to do, here or in the spool."""
        with contextlib.suppress(OSError):  # Full: it will wake up anyhow.
            self._rope.send(b"\0")

    def hush(self) -> None:
        """Forget that the bell was rung."""
        with contextlib.suppress(BlockingIOError):
            self.bell.recv(4096)

    def finish(self, deadline: float) -> None:
        """Ask the thread to end by ``deadline`` (``time.monotonic()``)."""
        self._deadline = deadline
        self.stop.set()
        self.ring()

    def time_left(self) -> float:
        """Seconds until the deadline."""
        return self._deadline - time.monotonic()

    def close(self) -> None:
        self.bell.close()
        self._rope.close()
