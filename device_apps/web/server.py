"""Web server: uvicorn in a daemon thread."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import socket
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from device_apps.daemon_thread import DaemonThread
from device_apps.web.access.middleware import AUTHORIZED
from device_apps.web.access.visit import Front, network_of
from device_apps.web.limits import WebLimits
from device_apps.web.site import Site
from edge_ssd.errors import EdgeSSDError

__all__ = ["WebServer"]

_log = logging.getLogger(__name__)

_START_TIMEOUT_S = 10.0
_SHUTDOWN_STEP_S = 0.2  # For pending responses; connections that are still open then are cut.
_JOIN_S = 0.6  # The whole program ends within two seconds.
_MAX_HEADER_BYTES = 16 * 1024
_numbers = itertools.count()  # Of connections, in their order.


class _Protocol(H11Protocol):
    """uvicorn's HTTP protocol with limits that it has no settings for: write buffer, connections, request time."""

    _request_timer: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, limits: WebLimits, front: Front, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits
        self._front = front
        self._authorized = False
        self._network = ""
        self._number = next(_numbers)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Buffer nothing in this process beyond what is being sent.
        transport.set_write_buffer_limits(high=0)
        peer = "" if self.client is None else self.client[0]
        # A trusted proxy has the connections of many clients.
        self._network = "" if self._front.trusts(peer) else network_of(peer)
        self._make_room()
        self._start_request_timer()

    @property
    def authorized(self) -> bool:
        """Whether a request of this connection has logged in, or needed no login."""
        scope = getattr(self, "scope", None)
        return self._authorized or bool(scope and scope.get(AUTHORIZED))

    def _make_room(self) -> None:
        """Close connections that have not logged in, the oldest ones first, until the limits hold.

        So half-open connections, of one client or of many, do not keep the owner out: a new connection has the time
        until it becomes the oldest. Those that have logged in are never closed.
        """
        # Many connections may come in one turn of the event loop, in which those that were aborted are still counted.
        connections = [other for other in self.connections if not other.transport.is_closing()]
        strangers: dict[str, list[_Protocol]] = {}
        for other in connections:
            if isinstance(other, _Protocol) and other is not self and not other.authorized:
                strangers.setdefault(other._network, []).append(other)
        own = strangers.get(self._network, []) if self._network else []
        if len(own) >= self._limits.max_client_connections:
            min(own, key=lambda other: other._number).transport.abort()
        elif len(connections) > self._limits.max_connections:
            # The client with the most connections loses one.
            most = max(strangers.values(), key=len, default=[self])
            min(most, key=lambda other: other._number).transport.abort()

    def data_received(self, data: bytes) -> None:
        self._authorized = self.authorized  # Of the request before.
        super().data_received(data)
        self._start_request_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_request_timer()

    def _start_request_timer(self) -> None:
        """Start the timeout of an incomplete request; further bytes do not extend it."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_request_timer()
        elif self._request_timer is None and not self.transport.is_closing():
            self._request_timer = self.loop.call_later(self._limits.request_timeout_s, self.transport.abort)

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None


class WebServer:
    """Server of a site on a listening socket, which it closes on exit; a context manager."""

    def __init__(self, site: Site, listener: socket.socket) -> None:
        self._site = site
        self._listener = listener
        self._thread = DaemonThread(self._run, "web server")
        self._started = threading.Event()
        self._failure = ""
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> WebServer:
        self._thread.start()
        self._started.wait(_START_TIMEOUT_S)
        if self._loop is None:
            raise EdgeSSDError(f"the web server does not start ({self._failure or 'timeout'}); leave out --web")
        return self

    def __exit__(self, *error: object) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # The server has ended already.
                self._loop.call_soon_threadsafe(self._site.closing.set)
        self._thread.join(_JOIN_S)
        self._listener.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
            if self._started.is_set() and not self._site.closing.is_set():  # Detection continues without viewers.
                _log.warning("web: the server has ended: %s", self._failure)
        finally:
            self._started.set()

    async def _serve(self) -> None:
        server = uvicorn.Server(
            uvicorn.Config(
                self._site.app(),
                http=functools.partial(_Protocol, limits=self._site.limits, front=self._site.front),  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",  # AuthMiddleware logs failures, in one line and without tokens.
                access_log=False,
                proxy_headers=False,
                server_header=False,
                h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
                timeout_graceful_shutdown=1,
            )
        )
        self._loop = asyncio.get_running_loop()
        publishing = asyncio.ensure_future(self._site.run())
        serving = asyncio.ensure_future(server.serve(sockets=[self._listener]))
        closing = asyncio.ensure_future(self._site.closing.wait())
        self._started.set()
        try:
            await asyncio.wait({serving, publishing, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            await asyncio.wait({serving}, timeout=_SHUTDOWN_STEP_S)
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            await asyncio.wait({serving}, timeout=_SHUTDOWN_STEP_S)
            publishing.cancel()
            closing.cancel()
        for task in (serving, publishing):
            if task.done() and not task.cancelled():
                task.result()
