"""Endpoints of events: the list, one event, its snapshot and its clip.

A request names an event, never a file: the file is that of the event, in the folder of the snapshots or clips, under a
name as this program writes it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from device_apps.jpeg import reduced_jpeg
from device_apps.web.access.middleware import error_response
from device_apps.web.event_query import parse_query
from device_apps.web.limits import WebLimits
from device_apps.web.request_body import is_json, parse_json, read_body
from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = [
    "ClipFiles",
    "EventApi",
    "EventRecords",
    "FrameCollector",
    "SnapshotFiles",
    "in_thread",
    "list_response",
    "unknown_event",
]

_T = TypeVar("_T")

_THUMBNAIL_SIDE = 240  # pixels
_MAX_DECODINGS = 2  # at a time: a page asks for many thumbnails at once


class EventRecords(Protocol):
    """The events of :class:`~device_apps.events.history.EventHistory`, in JSON types."""

    @property
    def max_events(self) -> int: ...
    def get(self, event_id: str) -> dict[str, Any] | None: ...
    def select(
        self,
        *,
        label: str | None = None,
        zone: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> tuple[list[dict[str, Any]], bool]: ...
    def update(self, event_id: str, **fields: Any) -> dict[str, Any] | None: ...
    def names(self) -> dict[str, list[str]]: ...


class SnapshotFiles(Protocol):
    """The folder of snapshots, which finds a file that it has written."""

    def find(self, name: str, *, clean: bool = False) -> Path | None: ...


class ClipFiles(Protocol):
    """The folder of clips, which finds a complete one by its name."""

    def find(self, name: str) -> Path | None: ...
    def is_recording(self, name: str) -> bool: ...


class FrameCollector(Protocol):
    """What keeps images to train on, with the verdicts on their detections."""

    def judge(self, jpeg: bytes, verdict: Literal["right", "wrong"] | None) -> str | None: ...


class EventApi:
    """Endpoints below ``/api/events``; ``snapshots`` and ``clips`` are None where they are not saved.

    Attributes:
        records: the events.
        camera: name of the camera, or None.
    """

    def __init__(
        self,
        records: EventRecords,
        snapshots: SnapshotFiles | None = None,
        clips: ClipFiles | None = None,
        camera: str | None = None,
        collector: FrameCollector | None = None,
        limits: WebLimits = WebLimits(),
    ) -> None:
        self.records = records
        self.camera = camera
        self._snapshots = snapshots
        self._clips = clips
        self._collector = collector
        self._limits = limits
        self._judging = asyncio.Lock()
        self._decoding = asyncio.Semaphore(_MAX_DECODINGS)

    def routes(self) -> list[Route]:
        event = "/api/events/{id}"
        return [
            Route("/api/events", self._list),
            Route(event, self._show),
            Route(f"{event}/snapshot.jpg", self._snapshot),
            Route(f"{event}/thumbnail.jpg", self._thumbnail),
            Route(f"{event}/clip.webm", self._clip),
            Route(f"{event}/verdict", self._judge, methods=["POST"]),
        ]

    @property
    def saves(self) -> dict[str, bool]:
        """Return what there can be of an event."""
        snapshots = self._snapshots is not None
        return {
            "snapshots": snapshots,
            "clips": self._clips is not None,
            "verdicts": snapshots and self._collector is not None,
        }

    def describe(self, record: dict[str, Any], *, new: bool = False, folder: str = "") -> dict[str, Any]:
        """Return an event with the addresses of its files, relative to the page, as ``urls``.

        Those of files that do not exist are left out; those of a ``new`` event are still being written. ``recording``
        is true while the clip is not complete. ``folder`` is that of the camera's page.
        """
        base = f"{folder}api/events/{quote(record['id'], safe='')}"
        snapshot, clip = _name(record, "snapshot"), _name(record, "clip")
        urls: dict[str, str] = {}
        if self._snapshots is not None and snapshot and (new or self._snapshots.find(snapshot)):
            urls |= {"snapshot": f"{base}/snapshot.jpg", "thumbnail": f"{base}/thumbnail.jpg"}
        if self._snapshots is not None and snapshot and not new and self._snapshots.find(snapshot, clean=True):
            urls["clean"] = f"{base}/snapshot.jpg?boxes=0"
            if self._collector is not None:
                urls["verdict"] = f"{base}/verdict"
        recording = self._clips is not None and self._clips.is_recording(clip)
        if self._clips is not None and clip and (recording or self._clips.find(clip)):
            urls["clip"] = f"{base}/clip.webm"
        camera = {} if self.camera is None else {"camera": self.camera}
        return {**record, **camera, "urls": urls, **({"recording": True} if recording else {})}

    async def _list(self, request: Request) -> Response:
        try:
            query = parse_query(request.query_params)
        except SettingError as error:
            return error_response(400, str(error))

        def answer() -> dict[str, Any]:
            records, more = self.records.select(**query)
            events = [self.describe(record) for record in records]
            cameras = [] if self.camera is None else [self.camera]
            return {"events": events, "more": more, **self.records.names(), "cameras": cameras, "saves": self.saves}

        return await list_response(request, answer)

    async def _show(self, request: Request) -> Response:
        record = self.records.get(request.path_params["id"])
        return self._unknown() if record is None else JSONResponse(await in_thread(lambda: self.describe(record)))

    async def _snapshot(self, request: Request) -> Response:
        boxes = request.query_params.get("boxes", "1")
        if boxes not in ("0", "1"):
            return error_response(400, "boxes must be 0 or 1")
        return await self._image(request, clean=boxes == "0")

    async def _thumbnail(self, request: Request) -> Response:
        return await self._image(request, reduce=True)

    async def _image(self, request: Request, *, clean: bool = False, reduce: bool = False) -> Response:
        record = self.records.get(request.path_params["id"])
        if record is None:
            return self._unknown()
        snapshots, name = self._snapshots, _name(record, "snapshot")
        if snapshots is None or not name:
            return error_response(404, "this event has no snapshot; --event-snapshots DIR saves them")

        def exists() -> bool:
            return snapshots.find(name) is not None

        def read() -> bytes | None:
            path = snapshots.find(name, clean=clean)
            try:
                data = None if path is None else path.read_bytes()
                return reduced_jpeg(data, _THUMBNAIL_SIDE) if reduce and data is not None else data
            except (OSError, ValueError):
                return None

        async with self._decoding:
            data = await in_thread(read)
        if data is not None:
            return Response(data, media_type="image/jpeg")
        if clean and await in_thread(exists):
            return error_response(404, "the image without boxes was not kept; --event-snapshots-clean keeps it")
        return error_response(404, "the image of this event is no longer available: it was deleted, or not written")

    async def _clip(self, request: Request) -> Response:
        record = self.records.get(request.path_params["id"])
        if record is None:
            return self._unknown()
        clips, name = self._clips, _name(record, "clip")
        if clips is None or not name:
            return error_response(404, "this event has no clip; --event-clips DIR records them")
        path = await in_thread(lambda: clips.find(name))
        try:
            status = None if path is None else await in_thread(path.stat)
        except OSError:
            status = None
        if path is not None and status is not None:
            return FileResponse(path, media_type="video/webm", stat_result=status)
        if clips.is_recording(name):
            return error_response(404, "the clip is still being recorded; try again later", {"Retry-After": "5"})
        return error_response(404, "the clip of this event is no longer available: it was deleted, or not written")

    async def _judge(self, request: Request) -> Response:
        """Take a verdict on the detection that an event is about, and add its image to those to train on."""
        if not is_json(request):
            return error_response(415, "send application/json")
        try:
            verdict = _parse_verdict(await read_body(request, self._limits))
        except SettingError as error:
            return error_response(400, str(error))
        record = self.records.get(request.path_params["id"])
        if record is None:
            return self._unknown()
        snapshots, collector, name = self._snapshots, self._collector, _name(record, "snapshot")
        if collector is None or snapshots is None:
            return error_response(409, "verdicts need --collect DIR and --event-snapshots DIR")

        def judge() -> dict[str, Any] | None:
            path = snapshots.find(name, clean=True)
            if path is None:
                raise SettingError("the image without boxes is not there: it was deleted, or the object is not in it")
            collected = collector.judge(path.read_bytes(), verdict)
            return self.records.update(record["id"], verdict=verdict, collected=collected)

        try:
            async with self._judging:  # So that events and images agree, whatever comes at the same time.
                updated = await in_thread(judge)
        except EdgeSSDError as error:
            return error_response(409, str(error))
        except OSError as error:
            return error_response(409, f"the image cannot be read: {error.strerror or error}")
        return self._unknown() if updated is None else JSONResponse(await in_thread(lambda: self.describe(updated)))

    def _unknown(self) -> Response:
        return unknown_event(self.records.max_events)


async def list_response(request: Request, answer: Callable[[], dict[str, Any]]) -> Response:
    """Return the response with a list, which ``answer`` returns; 304 without it to a page that has the same one.

    A page asks every three seconds, and a list is 40 kB.
    """
    response = await in_thread(lambda: JSONResponse(answer()))
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    if tag == request.headers.get("if-none-match"):
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return response


def _parse_verdict(body: bytes) -> Literal["right", "wrong"] | None:
    content = parse_json(body)
    if not isinstance(content, dict) or list(content) != ["verdict"]:
        raise SettingError('the body must be {"verdict": ...}')
    verdict = content["verdict"]
    if verdict not in ("right", "wrong", None):
        raise SettingError('verdict must be "right", "wrong" or null')
    return cast("Literal['right', 'wrong'] | None", verdict)


def unknown_event(max_events: int) -> Response:
    """Return the response to a request for an event that is not kept, or never was."""
    return error_response(404, f"there is no such event; the newest {max_events} are kept")


def _name(record: dict[str, Any], field: str) -> str:
    return Path(record.get(field, "")).name


async def in_thread(function: Callable[[], _T]) -> _T:
    """Call what reads files in a thread: a disk may be slow."""
    return await asyncio.get_running_loop().run_in_executor(None, function)
