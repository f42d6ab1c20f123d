"""Overview of several cameras, and the pages of each below ``/cameras/NAME/``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from device_apps.web.access.login_link import LINK_PATH
from device_apps.web.access.middleware import LOGIN_PATH, VISIT
from device_apps.web.all_events import AllEvents
from device_apps.web.app import Preview
from device_apps.web.pages import Page
from device_apps.web.prometheus import CONTENT_TYPE, Metric, format_metrics

__all__ = ["Overview"]

# Metrics of the process, which are the same for each camera.
_SHARED_METRICS = frozenset(
    {"edge_ssd_build_info", "edge_ssd_throttled", "edge_ssd_temperature_celsius", "process_resident_memory_bytes"}
)


class Overview:
    """Endpoints of several cameras: the overview page, their states, health and metrics, and those of each.

    Args:
        previews: by the camera's name in paths.
    """

    def __init__(self, previews: Mapping[str, Preview]) -> None:
        self._previews = previews
        self._page = Page("overview.html")
        apis = {f"cameras/{slug}/": preview.event_api for slug, preview in previews.items()}
        self._events = AllEvents({folder: api for folder, api in apis.items() if api is not None})

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the overview and of each camera."""
        routes: list[BaseRoute] = [
            Route("/", self._show_page),
            Route("/api/cameras", self._cameras),
            *self._events.routes(),
            Route("/healthz", self._healthz),
            Route("/metrics", self._metrics),
            # The page of a camera has relative links, and one login is for all of them.
            Route("/cameras/{name}/login", _to_login),
            Route("/cameras/{name}/logout", _to_root, methods=["POST"]),
            Route(f"/cameras/{{name}}{LINK_PATH}", _to_root, methods=["POST"]),
        ]
        for slug, preview in self._previews.items():
            routes += [
                Route(f"/cameras/{slug}", _to_folder),
                Mount(f"/cameras/{slug}", routes=preview.routes()),
            ]
        return routes

    async def _show_page(self, request: Request) -> Response:
        return self._page.response()

    async def _cameras(self, request: Request) -> Response:
        cameras = []
        for slug, preview in self._previews.items():
            snapshot, status = await preview.measure()
            cameras.append(
                {
                    "name": preview.about["name"],
                    "path": f"cameras/{slug}/",
                    "status": status._asdict(),
                    "frames": snapshot.frames,
                    "fps": None if snapshot.fps is None else round(snapshot.fps, 2),
                    "detections": snapshot.detections,
                    "source": preview.about["source"],
                }
            )
        return JSONResponse({"cameras": cameras, "login": any(p.about["login"] for p in self._previews.values())})

    async def _healthz(self, request: Request) -> Response:
        """Answer 200 while any camera delivers frames: to restart the program for one would interrupt the others."""
        states = {slug: (await preview.measure())[1] for slug, preview in self._previews.items()}
        lines = [f"{slug}: {status.reason or 'ok'}\n" for slug, status in states.items()]
        return PlainTextResponse("".join(lines), 200 if any(s.healthy for s in states.values()) else 503)

    async def _metrics(self, request: Request) -> Response:
        merged: dict[str, Metric] = {}
        for slug, preview in self._previews.items():
            for metric in await preview.metrics():
                known = merged.get(metric.name)
                if metric.name in _SHARED_METRICS:
                    merged.setdefault(metric.name, metric)
                    continue
                samples = [({"camera": slug, **labels}, value) for labels, value in metric.samples]
                before = [] if known is None else known.samples
                merged[metric.name] = Metric(metric.name, metric.kind, metric.help, [*before, *samples])
        return PlainTextResponse(format_metrics(merged.values()), media_type=CONTENT_TYPE)


async def _to_login(request: Request) -> Response:
    return RedirectResponse(request.scope[VISIT].root_path + LOGIN_PATH, 303)


async def _to_root(request: Request) -> Response:
    """Redirect a POST to the same path outside of the camera's folder."""
    path = request.scope["path"].removeprefix(f"/cameras/{request.path_params['name']}")
    return RedirectResponse(f"{request.scope[VISIT].root_path}{path}", 307)


async def _to_folder(request: Request) -> Response:
    return RedirectResponse(f"{request.scope[VISIT].root_path}{request.scope['path']}/", 308)
