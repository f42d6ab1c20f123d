"""Endpoints of zones: read and save them, and their counts."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from device_apps.web.access.middleware import error_response
from device_apps.web.limits import WebLimits
from device_apps.web.live.broadcaster import EventBroadcaster
from device_apps.web.request_body import is_json, parse_json, read_body
from device_apps.zones.active_zones import StaleZonesError
from device_apps.zones.monitor import ZoneMonitor
from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = ["ZoneApi"]


class ZoneApi:
    """Endpoints ``/api/zones`` (GET, PUT) and ``/api/counts`` (GET) of a monitor.

    Event streams get the state "zones" when zones are saved, and "counts" once a second while there are any.
    """

    def __init__(self, monitor: ZoneMonitor, limits: WebLimits) -> None:
        self._monitor = monitor
        self._limits = limits
        self._broadcaster: EventBroadcaster | None = None

    def routes(self, broadcaster: EventBroadcaster) -> list[Route]:
        """Return the routes; ``broadcaster`` gets the states."""
        self._broadcaster = broadcaster
        return [
            Route("/api/zones", self._zones, methods=["GET", "PUT"]),
            Route("/api/counts", self._counts),
        ]

    def states(self) -> dict[str, Any]:
        """Return the first states of a viewer, by kind."""
        return {"zones": self._monitor.active.to_dict(), "counts": self._monitor.counts()}

    def publish_zones(self) -> None:
        """Publish the zones, after they or the labels of the detector have changed."""
        if self._broadcaster is not None:
            self._broadcaster.publish_state("zones", self._monitor.active.to_dict())

    def publish_counts(self) -> None:
        """Publish the counts, if there are zones or lines."""
        if self._monitor.shapes and self._broadcaster is not None:
            self._broadcaster.publish_state("counts", self._monitor.counts())

    async def _zones(self, request: Request) -> Response:
        active = self._monitor.active
        if request.method == "PUT":
            if not is_json(request):
                return error_response(415, "send application/json")
            body = await read_body(request, self._limits)
            try:
                tables = parse_json(body)
                # The disk may be slow.
                await asyncio.get_running_loop().run_in_executor(None, active.replace, tables, _revision(request))
            except SettingError as error:
                return error_response(400, str(error))
            except StaleZonesError as error:
                return error_response(412, str(error))
            except EdgeSSDError as error:
                return error_response(409, str(error))
            self.publish_zones()
        answer = active.to_dict()
        return JSONResponse(answer, headers={"ETag": f'"{answer["revision"]}"'})

    async def _counts(self, request: Request) -> Response:
        return JSONResponse(self._monitor.counts())


def _revision(request: Request) -> str | None:
    """Return the revision that a request names in If-Match, None if it accepts any."""
    value: str = request.headers.get("if-match", "*").strip()
    return None if value == "*" else value.removeprefix("W/").strip('"')
