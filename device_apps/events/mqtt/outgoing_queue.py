"""Queue from the program to the MQTT client thread: retained topics, wake-ups and the request to stop."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

__all__ = ["OutgoingQueue"]


class OutgoingQueue:
    """Latest values of retained topics, a socket that wakes the client thread, and when to stop it; thread-safe.

    Attributes:
        wake_socket: becomes readable when there is something to do. A socket, because the thread waits in ``select``.
        stop: set when the thread should end.
    """

    def __init__(self) -> None:
        self._retained: dict[str, bytes] = {}  # payload by topic
        self._changed: set[str] = set()
        self._lock = threading.Lock()  # Guards the two above.
        self.wake_socket, self._wake_sender = socket.socketpair()
        self.wake_socket.setblocking(False)
        self._wake_sender.setblocking(False)
        self.stop = threading.Event()
        self._deadline = float("inf")

    def set_retained(self, topic: str, payload: str | bytes) -> None:
        """Set the value of a retained topic to ``payload`` and wake the client thread, which publishes it."""
        payload = payload.encode() if isinstance(payload, str) else payload
        with self._lock:
            if self._retained.get(topic) != payload:
                self._retained[topic] = payload
                self._changed.add(topic)
        self.wake()

    def mark_all_changed(self) -> None:
        """Mark every retained topic for publication: the broker may have lost them."""
        with self._lock:
            self._changed.update(self._retained)

    def take_changed(self) -> dict[str, bytes]:
        """Return the payloads, by topic, that changed since the last call."""
        with self._lock:
            changed = {topic: payload for topic, payload in self._retained.items() if topic in self._changed}
            self._changed.clear()
        return changed

    def __bool__(self) -> bool:
        """Return whether a retained topic has changed."""
        return bool(self._changed)

    def wake(self) -> None:
        """Wake the client thread, to publish a retained topic or a new message of the spool."""
        with contextlib.suppress(OSError):  # The buffer is full: the thread will wake up in any case.
            self._wake_sender.send(b"\0")

    def clear_wake_ups(self) -> None:
        """Discard the wake-ups that :attr:`wake_socket` has received."""
        with contextlib.suppress(BlockingIOError):
            self.wake_socket.recv(4096)

    def stop_by(self, deadline: float) -> None:
        """Ask the client thread to end by ``deadline`` (``time.monotonic()``)."""
        self._deadline = deadline
        self.stop.set()
        self.wake()

    def remaining_seconds(self) -> float:
        """Return the seconds until the deadline of :meth:`stop_by`; infinity before that call."""
        return self._deadline - time.monotonic()

    def close(self) -> None:
        """Close the sockets; the thread must have ended."""
        self.wake_socket.close()
        self._wake_sender.close()
