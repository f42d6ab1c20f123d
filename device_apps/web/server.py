"""The web server: uvicorn in a thread of its own, which ends with the process whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from device_apps.sources.frames import OnMessage
from device_apps.web.app import Preview
from edge_ssd.errors import EdgeSSDError

__all__ = ["WebServer"]

_START_S = 10.0
_GOODBYE_S = 0.2  # For answers that are under way; who has not read them then is cut off.
_STOP_S = 0.6  # Others have something to finish after it, all of them within two seconds.

_MOST_CONNECTIONS = 200
_REQUEST_S = 10.0  # For the head of a request, however slowly it comes.
_MOST_HEADER_BYTES = 16 * 1024


class _Protocol(H11Protocol):
    """uvicorn's HTTP with three limits that it has no setting for."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Nothing waits in this process for a slow viewer except what is being sent.
        transport.set_write_buffer_limits(high=0)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

    def _wait_for_request(self) -> None:
        """While a request is not whole, give it so long; a new byte does not make it longer."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._patience is None and not self.transport.is_closing():
            self._patience = self.loop.call_later(_REQUEST_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class WebServer:
    """Serves a preview on a listening socket, which it closes in the end; a context manager."""

    def __init__(self, preview: Preview, listener: socket.socket, notice: OnMessage) -> None:
        self._preview = preview
        self._listener = listener
        self._notice = notice
        self._thread = threading.Thread(target=self._run, name="web server", daemon=True)
        self._started = threading.Event()
        self._failure = ""
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> WebServer:
        self._thread.start()
        self._started.wait(_START_S)
        if self._loop is None:
            raise EdgeSSDError(f"the web server does not start ({self._failure or 'no answer'}); leave out --web")
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
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
            if self._started.is_set():  # Detection goes on without its viewers.
                self._notice(f"web: the server has ended: {self._failure}")
        finally:
            self._started.set()

    async def _serve(self) -> None:
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
        self._loop = asyncio.get_running_loop()
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
