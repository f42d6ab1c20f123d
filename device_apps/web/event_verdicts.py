"""Verdicts of people on what an event is about, for the images to train on."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from device_apps.web.access.middleware import error_response
from device_apps.web.event_records import EventRecords, FrameCollector, SnapshotFiles, Verdict, file_name
from device_apps.web.event_responses import in_thread, unknown_event
from device_apps.web.limits import WebLimits
from device_apps.web.request_body import is_json, parse_json, read_body
from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = ["LOST_IMAGE", "EventVerdicts"]

LOST_IMAGE = "the image of this event was lost: the disk was full, or too slow"


class EventVerdicts:
    """Takes verdicts; ``snapshots`` or ``collector`` are None where none can be taken."""

    def __init__(
        self,
        records: EventRecords,
        snapshots: SnapshotFiles | None,
        collector: FrameCollector | None,
        limits: WebLimits,
    ) -> None:
        self._records = records
        self._snapshots = snapshots
        self._collector = collector
        self._limits = limits
        self._judging = asyncio.Lock()

    @property
    def are_taken(self) -> bool:
        """Whether events can be judged, of which the image without boxes is there."""
        return self._snapshots is not None and self._collector is not None

    async def take(self, request: Request) -> dict[str, Any] | Response:
        """Take the verdict of a request: add the event's image to those to train on, and return the event with it.

        Returns the error response if that is not possible; nothing is changed then.
        """
        if not is_json(request):
            return error_response(415, "send application/json")
        try:
            verdict = _parse(await read_body(request, self._limits))
        except SettingError as error:
            return error_response(400, str(error))
        record = self._records.get(request.path_params["id"])
        try:
            async with self._judging:  # So that events and images agree, whatever comes at the same time.
                updated = None if record is None else await in_thread(lambda: self._judge(record, verdict))
        except EdgeSSDError as error:
            return error_response(409, str(error))
        except OSError as error:
            return error_response(409, f"the image cannot be read: {error.strerror or error}")
        return unknown_event(self._records.max_events) if updated is None else updated

    def _judge(self, record: dict[str, Any], verdict: Verdict | None) -> dict[str, Any] | None:
        if self._collector is None or self._snapshots is None:
            raise SettingError("verdicts need --collect DIR and --event-snapshots DIR")
        if record.get("snapshot_lost"):
            raise SettingError(LOST_IMAGE)
        path = self._snapshots.find(file_name(record, "snapshot"), clean=True)
        if path is None:
            raise SettingError("the image without boxes is not there: it was deleted, or the object is not in it")
        collected = self._collector.judge(path.read_bytes(), verdict)
        return self._records.update(record["id"], verdict=verdict, collected=collected)


def _parse(body: bytes) -> Verdict | None:
    content = parse_json(body)
    if not isinstance(content, dict) or list(content) != ["verdict"]:
        raise SettingError('the body must be {"verdict": ...}')
    verdict = content["verdict"]
    if verdict not in ("right", "wrong", None):
        raise SettingError('verdict must be "right", "wrong" or null')
    return cast("Verdict | None", verdict)
