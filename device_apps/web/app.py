"""Web preview of a camera: its page and endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from device_apps.model_watch import short_digest
from device_apps.retry import FailureLog
from device_apps.stats import Stats, StatsSnapshot
from device_apps.web.access.middleware import error_response
from device_apps.web.event_api import EventApi
from device_apps.web.event_records import ClipFiles, EventRecords, FrameCollector, SnapshotFiles
from device_apps.web.limits import WebLimits
from device_apps.web.live.broadcaster import EventBroadcaster
from device_apps.web.live.frame_encoder import FrameEncoder
from device_apps.web.live.jpeg import FULL, THUMBNAIL, JpegProfile
from device_apps.web.live.streams import (
    LIVE,
    MJPEG,
    SSE,
    ConnectionLimiter,
    StreamingResponse,
    live_parts,
    mjpeg_parts,
    sse_messages,
)
from device_apps.web.monitoring import Status, loop_status, stats_to_dict, stats_to_metrics, with_problem
from device_apps.web.pages import Page, Script, accepts_html
from device_apps.web.prometheus import CONTENT_TYPE, Metric, format_metrics
from device_apps.web.request_body import is_json, read_body
from device_apps.web.settings import apply_settings, current_settings
from device_apps.web.zone_api import ZoneApi
from edge_ssd.console.text import utf8_text
from edge_ssd.drawing import class_color
from edge_ssd.errors import BackendError, SettingError

if TYPE_CHECKING:
    from edge_ssd.runtime.detector import Detector

__all__ = ["EventFeed", "Preview"]

_log = logging.getLogger(__name__)

_OVERVIEW_LINK = '<a class="link" href="../../">All cameras</a>'
_OTHERS_LINK = '<a class="link" href="../../events">Events of all cameras</a>'


class EventFeed(Protocol):
    """Recent events, newest last, and a subscription to new ones; ``to_dict()`` of an event returns JSON types.

    Attributes:
        history: all events that are kept.
        snapshots, clips: folders of their files, or None.
    """

    @property
    def recent(self) -> Iterable[Any]: ...
    @property
    def history(self) -> EventRecords: ...
    @property
    def snapshots(self) -> SnapshotFiles | None: ...
    @property
    def clips(self) -> ClipFiles | None: ...
    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        """Call ``callback`` with each new event, in the thread of the loop; return a function that unsubscribes."""


@dataclass
class Preview:
    """Web preview of a camera: its parts, and the endpoints that serve them.

    Attributes:
        about: constants for the page, JSON types: version, name, source, live, login.
        encoder: the sink that the camera loop writes its results to.
        events: enter and leave events, or None if objects are not tracked.
        closing: ends every stream when set, in the server's thread.
        zones: endpoints of zones and counts, or None without them.
        problem: returns why no frames come, or "".
        collector: takes verdicts on events; None if no images are collected.
        is_one_of_several: whether the page links to the overview of all cameras.
    """

    about: dict[str, Any]
    encoder: FrameEncoder
    detector: Detector
    stats: Stats
    events: EventFeed | None
    limits: WebLimits = WebLimits()
    broadcaster: EventBroadcaster = field(default_factory=EventBroadcaster)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    zones: ZoneApi | None = None
    problem: Callable[[], str] = lambda: ""
    collector: FrameCollector | None = None
    is_one_of_several: bool = False

    def __post_init__(self) -> None:
        self._worker = Script("worker.js")
        overview = _OVERVIEW_LINK if self.is_one_of_several else ""
        self._page = Page("page.html", {"{worker}": self._worker.digest, "<!-- overview -->": overview})
        self._viewers = ConnectionLimiter(self.limits.max_viewers)
        events = self.events
        self.event_api: EventApi | None = None
        if events is not None:
            self.event_api = EventApi(
                events.history,
                events.snapshots,
                events.clips,
                self.about["name"],
                self.collector,
                self.limits,
                labels=lambda: self.detector.labels,
            )
        self._events_page = Page(
            "events_page.html", {"<!-- overview -->": _OTHERS_LINK if self.is_one_of_several else ""}
        )
        self._subscribers = ConnectionLimiter(self.limits.max_viewers)

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the page and the endpoints."""
        routes = [
            Route("/", self._show_page),
            Route("/stream", self._stream),
            Route("/snapshot.jpg", self._snapshot),
            Route("/thumbnail.jpg", self._thumbnail),
            Route("/events", self._events),
            Route("/live", self._live),
            Route("/worker.js", self._show_worker),
            Route("/api/settings", self._settings, methods=["GET", "POST"]),
            Route("/api/stats", self._stats),
            Route("/healthz", self._healthz),
            Route("/metrics", self._metrics),
        ]
        if self.zones is not None:
            routes += self.zones.routes(self.broadcaster)
        if self.event_api is not None:
            routes += self.event_api.routes()
        return routes

    async def run(self) -> None:
        """Publish statistics every second and events as they happen, until cancelled."""
        server = asyncio.get_running_loop()
        self.encoder.attach(server)
        with contextlib.ExitStack() as stack:
            if self.events is not None:
                stack.callback(self.events.subscribe(lambda event: _call_in(server, self._publish, event)))
            warn = FailureLog(_log).failed
            bundle = self.detector.bundle
            while True:
                try:
                    if self.detector.bundle is not bundle:
                        bundle = self.detector.bundle
                        self._publish_model()
                    if len(self.broadcaster):
                        if self.zones is not None:
                            self.zones.publish_counts()
                        self.broadcaster.publish_state("stats", await self._stats_dict())
                except Exception as error:  # The live image goes on without statistics.
                    warn(f"web: statistics failed: {type(error).__name__}: {error}")
                await asyncio.sleep(self.limits.stats_period_s)

    def _publish_model(self) -> None:
        self.broadcaster.publish_state("about", self._about())
        self.broadcaster.publish_state("settings", current_settings(self.detector))
        if self.zones is not None:
            self.zones.publish_zones()

    def _publish(self, event: Any) -> None:
        self.broadcaster.publish_event(self._describe(event))

    def _describe(self, event: Any) -> dict[str, Any]:
        described: dict[str, Any] = event.to_dict()
        return described if self.event_api is None else self.event_api.describe(described, new=True)

    async def _show_page(self, request: Request) -> Response:
        return self._page.response()

    async def _show_worker(self, request: Request) -> Response:
        return self._worker.response()

    async def _stream(self, request: Request) -> Response:
        return StreamingResponse(mjpeg_parts(self.encoder), MJPEG, self._viewers, self.closing)

    async def _snapshot(self, request: Request) -> Response:
        return await self._image(FULL)

    async def _thumbnail(self, request: Request) -> Response:
        if self.encoder.last_result_at is None:
            return error_response(503, "no frame yet")
        return await self._image(THUMBNAIL)

    async def _image(self, profile: JpegProfile) -> Response:
        try:
            frame = await asyncio.wait_for(self.encoder.next_frame(profile), self.limits.snapshot_timeout_s)
        except asyncio.TimeoutError:
            return error_response(503, "no frame yet")
        return Response(frame.jpeg, media_type="image/jpeg")

    async def _events(self, request: Request) -> Response:
        if self.event_api is not None and accepts_html(request):
            return self._events_page.response(headers={"Vary": "Accept"})
        messages = sse_messages(self.broadcaster, self._states)
        return StreamingResponse(messages, SSE, self._subscribers, self.closing)

    async def _live(self, request: Request) -> Response:
        parts = live_parts(self.broadcaster, self.encoder, self._states)
        return StreamingResponse(parts, LIVE, self._viewers, self.closing)

    async def _states(self) -> dict[str, Any]:
        """Return the first messages of a viewer; the last step waits for nothing, so that no later change is missed."""
        stats = await self._stats_dict()
        recent = None if self.events is None else [self._describe(event) for event in self.events.recent]
        settings = current_settings(self.detector)
        states = {"about": self._about(), "settings": settings, "recent": recent, "stats": stats}
        return states if self.zones is None else {**states, **self.zones.states()}

    async def _settings(self, request: Request) -> Response:
        if request.method == "POST":
            if not is_json(request):
                return error_response(415, "send application/json")
            try:
                apply_settings(self.detector, await read_body(request, self.limits))
            except (SettingError, BackendError) as error:  # BackendError: it is closed, at the end
                return error_response(400, str(error))
            self.broadcaster.publish_state("settings", current_settings(self.detector))
        return JSONResponse(current_settings(self.detector))

    async def _stats(self, request: Request) -> Response:
        return JSONResponse(await self._stats_dict())

    async def _healthz(self, request: Request) -> Response:
        _, status = await self.measure()
        return PlainTextResponse(f"{status.reason or 'ok'}\n", 200 if status.healthy else 503)

    async def _metrics(self, request: Request) -> Response:
        return PlainTextResponse(format_metrics(await self.metrics()), media_type=CONTENT_TYPE)

    async def metrics(self) -> list[Metric]:
        """Return the metrics of the camera and of the process."""
        snapshot, status = await self.measure()
        last = self.encoder.last_result_at
        age_s = None if last is None else round(time.monotonic() - last, 3)
        about = self._about()
        build = {name: str(about[name]) for name in ("version", "model", "model_sha256", "backend")}
        return stats_to_metrics(snapshot, status, self._viewers.taken, age_s, build)

    async def _stats_dict(self) -> dict[str, Any]:
        about = self._about()
        model = {name: about[name] for name in ("model", "model_sha256")}
        return {**stats_to_dict(*await self.measure(), self._viewers.taken), **model}

    def _about(self) -> dict[str, Any]:
        """Return constants for the page, and those of the model, which may be replaced."""
        detector = self.detector
        bundle = detector.bundle
        return {
            **self.about,
            "model": utf8_text(bundle.path.name),
            "model_sha256": short_digest(bundle),
            "backend": detector.backend,
            "threads": detector.num_threads,
            "colors": [class_color(i) for i in range(len(bundle.labels))],
        }

    async def measure(self) -> tuple[StatsSnapshot, Status]:
        """Return the statistics, and whether the camera is healthy."""
        # On a Raspberry Pi this may start a process to query throttling, which would block the server's thread.
        snapshot = await asyncio.get_running_loop().run_in_executor(None, self.stats.snapshot)
        status = loop_status(self.encoder, snapshot.source.connected, self.limits.max_silence_s)
        return snapshot, with_problem(status, self.problem())


def _call_in(server: asyncio.AbstractEventLoop, function: Any, *arguments: Any) -> None:
    """Call ``function`` in the server's thread; do nothing if the server has ended."""
    with contextlib.suppress(RuntimeError):
        server.call_soon_threadsafe(function, *arguments)
