"""TCP relay on loopback, which cuts, holds or refuses the connections that go through it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

__all__ = ["TcpRelay"]


class TcpRelay:
    """Relay from a port of its own to ``target_port``; a context manager.

    Attributes:
        port: the relay's port.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._flowing = threading.Event()
        self._flowing.set()
        self._away = threading.Event()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._started: list[float] = []

    def __enter__(self) -> TcpRelay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._away.set()
        self._flowing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def connections_since(self, start: float) -> list[float]:
        """Return the times (``time.monotonic()``) at which the target first answered a client, after ``start``."""
        with self._lock:
            return [at for at in self._started if at > start]

    def cut(self) -> None:
        """Reset every connection."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Cut all connections, and close new ones at once."""
        self._away.set()
        self.cut()
        yield
        self._away.clear()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep all connections open and pass on nothing; afterwards everything goes on."""
        self._flowing.clear()
        yield
        self._flowing.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._away.is_set():
                client.close()
                continue
            try:
                target = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
            except OSError:
                client.close()
                continue
            target.settimeout(None)
            with self._lock:
                self._open |= {client, target}
            threading.Thread(target=self._pass_on, args=(client, target, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(target, client, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, from_target: bool) -> None:
        with contextlib.suppress(OSError):
            first = from_target
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
                if first:
                    first = False
                    with self._lock:
                        self._started.append(time.monotonic())
        for connection in (source, sink):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()
