"""The pages and endpoints of the preview."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from device_apps.sources.frames import OnMessage
from device_apps.stats import StatsSnapshot
from device_apps.web.auth import LOGIN, AuthMiddleware, refusal
from device_apps.web.broadcaster import EventBroadcaster
from device_apps.web.event_publisher import Event, Events
from device_apps.web.frame_encoder import FrameEncoder
from device_apps.web.jpeg import FULL
from device_apps.web.log_once import log_once
from device_apps.web.login import Login
from device_apps.web.metrics import CONTENT_TYPE, exposition
from device_apps.web.pages import Page
from device_apps.web.report import as_json, as_metrics
from device_apps.web.request_body import read_body
from device_apps.web.settings import Configurable, apply_settings, settings_of
from device_apps.web.status import Status, status_of
from device_apps.web.streams import MJPEG, SSE, ConnectionLimiter, Stream, live_picture, messages
from device_apps.web.token import LoginRateLimiter, Token
from edge_ssd.errors import SettingError

__all__ = ["Preview"]

_TICK_S = 1.0
_SNAPSHOT_WAIT_S = 5.0
_COOKIE = "edge_ssd_{port}"  # Cookies do not tell ports apart, and a board may run two cameras.


class Counting(Protocol):
    """What is needed of :class:`~device_apps.stats.Stats`."""

    def snapshot(self) -> StatsSnapshot: ...


@dataclass
class Preview:
    """The preview as a web application.

    Attributes:
        about: what never changes while it runs, told to each page: version, model, source, labels.
        pictures: where the loop leaves its results.
        detector: what viewers configure.
        stats: the loop's numbers.
        events: what was seen, or None when nobody keeps track of it.
        token: None where none is needed.
        host, port: where it listens.
        notice: is told what goes wrong.
        most_viewers: of the picture, and as many again of the feed.
        feed: who listens.
        closing: ends every stream when it is set, in the server's thread.
    """

    about: dict[str, Any]
    pictures: FrameEncoder
    detector: Configurable
    stats: Counting
    events: Events | None
    token: Token | None
    host: str
    port: int
    notice: OnMessage
    most_viewers: int = 32
    feed: EventBroadcaster = field(default_factory=EventBroadcaster)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._page = Page("page.html")
        self._viewers = ConnectionLimiter(self.most_viewers)
        self._listeners = ConnectionLimiter(self.most_viewers)

    def app(self) -> ASGIApp:
        """The ASGI application, guarded."""
        cookie = _COOKIE.format(port=self.port)
        guesses = LoginRateLimiter()
        routes = [
            Route("/", self._show_page),
            Route("/stream", self._stream),
            Route("/snapshot.jpg", self._snapshot),
            Route("/events", self._events),
            Route("/api/settings", self._settings, methods=["GET", "POST"]),
            Route("/api/stats", self._stats),
            Route("/healthz", self._healthz),
            Route("/metrics", self._metrics),
        ]
        if self.token is not None:
            login = Login(self.token, cookie, guesses)
            routes += [
                Route(LOGIN, login.login, methods=["GET", "POST"]),
                Route("/logout", login.logout, methods=["POST"]),
            ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _refuse})
        app.router.redirect_slashes = False
        return AuthMiddleware(app, self.token, self.host, cookie, guesses, self.notice)

    async def run(self) -> None:
        """Tell the feed's listeners the numbers once a second, and each event at once; until cancelled."""
        server = asyncio.get_running_loop()
        self.pictures.serve(server)
        with contextlib.ExitStack() as stack:
            if self.events is not None:
                stack.callback(self.events.subscribe(lambda event: _call_in(server, self._tell, event)))
            notice = log_once(self.notice)
            while True:
                try:
                    if len(self.feed):
                        self.feed.publish_state("stats", await self._numbers())
                except Exception as error:  # Whatever it is: the picture goes on.
                    notice(f"web: there are no numbers: {type(error).__name__}: {error}")
                await asyncio.sleep(_TICK_S)

    def _tell(self, event: Event) -> None:
        self.feed.publish_event(event.to_dict())

    async def _show_page(self, request: Request) -> Response:
        return self._page.response()

    async def _stream(self, request: Request) -> Response:
        return Stream(live_picture(self.pictures), MJPEG, self._viewers, self.closing)

    async def _snapshot(self, request: Request) -> Response:
        try:
            picture = await asyncio.wait_for(self.pictures.newer(FULL), _SNAPSHOT_WAIT_S)
        except asyncio.TimeoutError:
            return refusal(503, "no frame yet")
        return Response(picture.jpeg, media_type="image/jpeg")

    async def _events(self, request: Request) -> Response:
        recent = None if self.events is None else [event.to_dict() for event in list(self.events.recent)]
        states = {
            "about": self.about,
            "settings": settings_of(self.detector),
            "recent": recent,
            "stats": await self._numbers(),
        }
        return Stream(messages(self.feed, states), SSE, self._listeners, self.closing)

    async def _settings(self, request: Request) -> Response:
        if request.method == "POST":
            # Pages of other sites cannot send this type without asking first.
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                return refusal(415, "send application/json")
            try:
                apply_settings(self.detector, await read_body(request))
            except SettingError as error:
                return refusal(400, str(error))
            self.feed.publish_state("settings", settings_of(self.detector))
        return JSONResponse(settings_of(self.detector))

    async def _stats(self, request: Request) -> Response:
        return JSONResponse(await self._numbers())

    async def _healthz(self, request: Request) -> Response:
        _, status = await self._measure()
        return PlainTextResponse(f"{status.reason or 'ok'}\n", 200 if status.healthy else 503)

    async def _metrics(self, request: Request) -> Response:
        snapshot, status = await self._measure()
        last = self.pictures.last_result_at
        age_s = None if last is None else round(time.monotonic() - last, 3)
        build = {name: str(self.about[name]) for name in ("version", "model", "backend")}
        metrics = as_metrics(snapshot, status, self._viewers.taken, age_s, build)
        return PlainTextResponse(exposition(metrics), media_type=CONTENT_TYPE)

    async def _numbers(self) -> dict[str, Any]:
        return as_json(*await self._measure(), self._viewers.taken)

    async def _measure(self) -> tuple[StatsSnapshot, Status]:
        # On a Pi this now and then starts a program to ask for throttling: not in the server's own thread.
        snapshot = await asyncio.get_running_loop().run_in_executor(None, self.stats.snapshot)
        return snapshot, status_of(self.pictures, snapshot.source.connected)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, error.detail, dict(error.headers or {}))


def _call_in(server: asyncio.AbstractEventLoop, function: Any, *arguments: Any) -> None:
    """Call from another thread; nothing happens when the server has ended."""
    with contextlib.suppress(RuntimeError):
        server.call_soon_threadsafe(function, *arguments)
