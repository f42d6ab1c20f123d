"""Endpoints of events: the list, one event, its snapshot and its clip.

A request names an event, never a file: the file is that of the event, in the folder of the snapshots or clips, under a
name as this program writes it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from device_apps.jpeg import MAX_COMMENT_BYTES, read_comment, reduced_jpeg
from device_apps.seen_frame import SeenFrame
from device_apps.web.access.middleware import error_response
from device_apps.web.event_query import parse_query
from device_apps.web.event_records import ClipFiles, EventRecords, FrameCollector, SnapshotFiles, file_name
from device_apps.web.event_responses import in_thread, list_response, unknown_event
from device_apps.web.event_verdicts import LOST_IMAGE, EventVerdicts
from device_apps.web.limits import WebLimits
from edge_ssd.errors import SettingError

__all__ = ["EventApi"]

_THUMBNAIL_SIDE = 240  # pixels
_MAX_HEAD = MAX_COMMENT_BYTES + 1024  # bytes of a JPEG, which have its comment
_MAX_DECODINGS = 2  # at a time: a page asks for many thumbnails at once


class EventApi:
    """Endpoints below ``/api/events``; ``snapshots`` and ``clips`` are None where they are not saved.

    Attributes:
        records: the events.
        camera: name of the camera, or None.

    ``labels`` returns those that the model knows, which an event may have.
    """

    def __init__(
        self,
        records: EventRecords,
        snapshots: SnapshotFiles | None = None,
        clips: ClipFiles | None = None,
        camera: str | None = None,
        collector: FrameCollector | None = None,
        limits: WebLimits = WebLimits(),
        labels: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.records = records
        self._labels = labels
        self.camera = camera
        self._snapshots = snapshots
        self._clips = clips
        self._verdicts = EventVerdicts(records, snapshots, collector, limits)
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
        return {
            "snapshots": self._snapshots is not None,
            "clips": self._clips is not None,
            "verdicts": self._verdicts.are_taken,
        }

    def names(self) -> dict[str, list[str]]:
        """Return the "labels" of the model and of all events, and the "zones" (and lines) of events, sorted."""
        names = self.records.names()
        return {**names, "labels": sorted({*names["labels"], *self._labels()})}

    def describe(self, record: dict[str, Any], *, new: bool = False, folder: str = "") -> dict[str, Any]:
        """Return an event with the addresses of its files, relative to the page, as ``urls``.

        Those of files that do not exist are left out; those of a ``new`` event are still being written. ``recording``
        is true while the clip is not complete, ``saving`` while the first image is not written. ``folder`` is that of
        the camera's page.
        """
        base = f"{folder}api/events/{quote(record['id'], safe='')}"
        snapshot, clip = file_name(record, "snapshot"), file_name(record, "clip")
        urls: dict[str, str] = {}
        state: dict[str, bool] = {}
        if self._snapshots is not None and snapshot:
            saving = self._snapshots.is_waiting(snapshot)  # Before it is looked for, since it may be written now.
            if new or self._snapshots.find(snapshot):
                urls |= {"snapshot": f"{base}/snapshot.jpg", "thumbnail": f"{base}/thumbnail.jpg"}
            elif saving:
                state["saving"] = True
        if self._snapshots is not None and snapshot and not new and self._snapshots.find(snapshot, clean=True):
            urls["clean"] = f"{base}/snapshot.jpg?boxes=0"
            if self._verdicts.are_taken:
                urls["verdict"] = f"{base}/verdict"
        recording = self._clips is not None and self._clips.is_recording(clip)
        if self._clips is not None and clip and (recording or self._clips.find(clip)):
            urls["clip"] = f"{base}/clip.webm"
        if recording:
            state["recording"] = True
        camera = {} if self.camera is None else {"camera": self.camera}
        return {**record, **camera, "urls": urls, **state}

    def describe_in_full(self, record: dict[str, Any], *, folder: str = "") -> dict[str, Any]:
        """Return an event as :meth:`describe`, with what the image without boxes says of its object.

        ``subject`` has the ``box`` of the object (xmin, ymin, xmax, ymax) and the ``size`` of the image (width,
        height), in pixels; it is left out without such an image.
        """
        path = None if self._snapshots is None else self._snapshots.find(file_name(record, "snapshot"), clean=True)
        subject: dict[str, Any] = {}
        if path is not None:
            with contextlib.suppress(OSError, ValueError), path.open("rb") as file:
                seen = SeenFrame.from_json(read_comment(file.read(_MAX_HEAD)) or b"")
                subject = {"subject": {"box": seen.subject.box, "size": seen.size}}
        return {**self.describe(record, folder=folder), **subject}

    async def _list(self, request: Request) -> Response:
        try:
            query = parse_query(request.query_params)
        except SettingError as error:
            return error_response(400, str(error))

        def answer() -> dict[str, Any]:
            records, more = self.records.select(**query)
            events = [self.describe(record) for record in records]
            cameras = [] if self.camera is None else [self.camera]
            return {"events": events, "more": more, **self.names(), "cameras": cameras, "saves": self.saves}

        return await list_response(request, answer)

    async def _show(self, request: Request) -> Response:
        record = self.records.get(request.path_params["id"])
        return self._unknown() if record is None else await self._full_response(record)

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
        snapshots, name = self._snapshots, file_name(record, "snapshot")
        if record.get("snapshot_lost"):
            return error_response(404, LOST_IMAGE)
        if snapshots is None or not name:
            return error_response(404, "this event has no snapshot; --event-snapshots DIR saves them")

        saving = snapshots.is_waiting(name)  # Before it is looked for, since it may be written now.

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
        if await in_thread(exists):
            not_kept = "the image without boxes was not kept; --event-snapshots-clean keeps it"
            return error_response(404, not_kept if clean else "the image of this event cannot be read")
        if saving:
            return error_response(404, "the image is still being written; try again later", {"Retry-After": "1"})
        return error_response(404, "the image of this event is no longer there: it was deleted, mostly to make room")

    async def _clip(self, request: Request) -> Response:
        record = self.records.get(request.path_params["id"])
        if record is None:
            return self._unknown()
        clips, name = self._clips, file_name(record, "clip")
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
        return error_response(404, "the clip of this event is not there: it was deleted, or could not be written")

    async def _judge(self, request: Request) -> Response:
        taken = await self._verdicts.take(request)
        return taken if isinstance(taken, Response) else await self._full_response(taken)

    async def _full_response(self, record: dict[str, Any]) -> Response:
        return JSONResponse(await in_thread(lambda: self.describe_in_full(record)))

    def _unknown(self) -> Response:
        return unknown_event(self.records.max_events)
