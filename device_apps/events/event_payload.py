"""Payload of an event: written as JSON, and checked when it comes from a file."""

from __future__ import annotations

import json
import math
from typing import Any

from device_apps.events.event import EVENT_KINDS, Event
from edge_ssd.console.json_output import json_text

__all__ = ["event_payload", "is_event_payload"]

_MAX_TEXT = 10_000  # characters of a name, a path or a URL


def event_payload(event: Event) -> bytes:
    """Return the event as JSON in UTF-8."""
    return json_text(event.to_dict()).encode()


def is_event_payload(payload: bytes) -> bool:
    """Return whether ``payload`` is an event as :func:`event_payload` writes it; fields may be added."""
    try:
        event = json.loads(payload.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    if not isinstance(event, dict):
        return False
    box = event.get("box")
    return (
        all(_is_text(event.get(name)) for name in ("id", "label", "time", "source"))
        and event.get("kind") in EVENT_KINDS
        and all(_is_int(event.get(name)) for name in ("object_id", "class_id", "sequence"))
        and _is_number(event.get("score"))
        and isinstance(box, list)
        and len(box) == 4
        and all(map(_is_number, box))
    )


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are not JSON.


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_int(value) or (isinstance(value, float) and math.isfinite(value))
