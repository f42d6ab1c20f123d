"""Events of several cameras together: their page and their list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from device_apps.web.access.middleware import error_response
from device_apps.web.event_api import EventApi
from device_apps.web.event_query import DEFAULT_EVENTS, parse_query, parse_time
from device_apps.web.event_responses import in_thread, list_response, unknown_event
from device_apps.web.pages import Page
from edge_ssd.errors import SettingError

__all__ = ["AllEvents"]


_MOMENT = timedelta(microseconds=1)


class _Found(NamedTuple):
    """An event, and the folder of its camera."""

    folder: str
    record: dict[str, Any]

    @property
    def time(self) -> datetime:
        return parse_time("time", self.record["time"])


class AllEvents:
    """Endpoints ``/events``, ``/api/events`` and ``/api/events/ID`` over the events of several cameras.

    Args:
        apis: the events of each camera, by its folder relative to the page, such as "cameras/door/".
    """

    def __init__(self, apis: Mapping[str, EventApi]) -> None:
        self._apis = apis
        self._page = Page("events_page.html", {"<!-- overview -->": ""})

    def routes(self) -> list[Route]:
        return [
            Route("/events", self._show_page),
            Route("/api/events", self._list),
            Route("/api/events/{id}", self._show),
        ]

    async def _show_page(self, request: Request) -> Response:
        return self._page.response()

    async def _list(self, request: Request) -> Response:
        try:
            query = parse_query(request.query_params, "camera")
        except SettingError as error:
            return error_response(400, str(error))
        camera = request.query_params.get("camera") or None
        return await list_response(request, lambda: self._answer(camera, query))

    async def _show(self, request: Request) -> Response:
        found = self._find(request.path_params["id"])
        if found is None:
            return unknown_event(max((api.records.max_events for api in self._apis.values()), default=0))
        api = self._apis[found.folder]
        return JSONResponse(await in_thread(lambda: api.describe_in_full(found.record, folder=found.folder)))

    def _answer(self, camera: str | None, query: dict[str, Any]) -> dict[str, Any]:
        limit = query.setdefault("limit", DEFAULT_EVENTS)
        newest = merge(*self._select(camera, query), key=lambda found: -found.time.timestamp())
        events = list(islice(newest, limit + 1))
        apis = self._apis.values()
        names = [api.names() for api in apis]
        return {
            "events": [self._describe(found) for found in events[:limit]],
            "more": len(events) > limit,
            **{kind: sorted({name for of_camera in names for name in of_camera[kind]}) for kind in ("labels", "zones")},
            "cameras": [api.camera for api in apis],
            "saves": {kind: any(api.saves[kind] for api in apis) for kind in ("snapshots", "clips", "verdicts")},
        }

    def _select(self, camera: str | None, query: dict[str, Any]) -> list[list[_Found]]:
        """Return the newest events of each camera, one more than ``limit``; those of one time in the cameras' order."""
        query = {**query, "limit": query["limit"] + 1}
        before = query.pop("before", None)
        last = None if before is None else self._find(before)
        if before is not None and last is None:  # It is not kept any more, and so no older one is.
            return []
        selected = []
        is_after_last = False
        for folder, api in self._apis.items():
            own = dict(query)
            if last is not None and folder == last.folder:
                own["before"] = before
                is_after_last = True
            elif last is not None:
                end = last.time + _MOMENT if is_after_last else last.time
                own["until"] = min(query.get("until", end), end)
            if camera in (None, api.camera):
                selected.append([_Found(folder, record) for record in api.records.select(**own)[0]])
        return selected

    def _find(self, event_id: str) -> _Found | None:
        found = ((folder, api.records.get(event_id)) for folder, api in self._apis.items())
        return next((_Found(folder, record) for folder, record in found if record is not None), None)

    def _describe(self, found: _Found) -> dict[str, Any]:
        return self._apis[found.folder].describe(found.record, folder=found.folder)
