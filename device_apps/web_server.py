"""The web server: uvicorn in a thread of its own, which ends with the process whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from device_apps.frames import Notice
from device_apps.web_app import Preview
from edge_ssd.errors import EdgeSSDError

__all__ = ["WebServer"]

_START_S = 10.0
_GOODBYE_S = 0.25  # For answers that are under way; who has not read them then is cut off.
_STOP_S = 0.9

_MOST_CONNECTIONS = 200
_FIRST_REQUEST_S = 10.0
_MOST_HEADER_BYTES = 16 * 1024


class _Protocol(H11Protocol):
    """uvicorn's HTTP with three limits that it has no setting for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Nothing waits in this process for a slow viewer except what is being sent.
        transport.set_write_buffer_limits(high=0)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        else:
            self._patience = self.loop.call_later(_FIRST_REQUEST_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "_patience"):
            self._patience.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        """Close a connection that was opened and then not used."""
        if self.cycle is None:
            self.transport.abort()


class WebServer:
    """Serves a preview on a listening socket, which it closes in the end; a context manager."""

    def __init__(self, preview: Preview, listener: socket.socket, notice: Notice) -> None:
        self._preview = preview
        self._listener = listener
        self._notice = notice
        self._thread = threading.Thread(target=self._run, name="web server", daemon=True)
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> WebServer:
        self._thread.start()
        if not self._started.wait(_START_S):
            raise EdgeSSDError("the web server does not start; run it without --web")
        return self

    def __exit__(self, *error: object) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # It has ended already.
                self._loop.call_soon_threadsafe(self._preview.closing.set)
        self._thread.join(_STOP_S)
        self._listener.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # Detection goes on without its viewers.
            self._notice(f"web: the server has ended: {type(error).__name__}: {error}")

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = uvicorn.Server(
            uvicorn.Config(
                self._preview.app(),
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",  # What went wrong is told by the guard, without tokens and in one line.
                access_log=False,
                proxy_headers=False,
                server_header=False,
                h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
                timeout_graceful_shutdown=1,
            )
        )
        telling = asyncio.ensure_future(self._preview.run())
        serving = asyncio.ensure_future(server.serve(sockets=[self._listener]))
        closing = asyncio.ensure_future(self._preview.closing.wait())
        self._started.set()
        try:
            await asyncio.wait({serving, telling, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.should_exit = True
            await asyncio.wait({serving}, timeout=_GOODBYE_S)
            for connection in list(server.server_state.connections):
                connection.transport.abort()
            await asyncio.wait({serving}, timeout=_GOODBYE_S)
            telling.cancel()
            closing.cancel()
        for task in (serving, telling):
            if task.done() and not task.cancelled():
                task.result()
