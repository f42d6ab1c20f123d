"""Parameters of a request for events."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from starlette.datastructures import QueryParams

from edge_ssd.console.text import printable
from edge_ssd.errors import SettingError

__all__ = ["DEFAULT_EVENTS", "MAX_EVENTS", "parse_query", "parse_time"]

DEFAULT_EVENTS, MAX_EVENTS = 50, 200  # of a response

_NAMES = ("label", "zone", "since", "until", "before", "limit")


def parse_query(parameters: QueryParams, *more: str) -> dict[str, Any]:
    """Return the arguments of :meth:`EventHistory.select <device_apps.events.history.EventHistory.select>`.

    ``more`` are names of further parameters, which are not returned. Raises SettingError if one is not valid.
    """
    known = (*_NAMES, *more)
    for name in parameters:
        if name not in known:
            raise SettingError(f"unknown parameter {printable(name[:40])!r}; parameters are {', '.join(known)}")
    query: dict[str, Any] = {name: parameters[name] for name in ("label", "zone", "before") if parameters.get(name)}
    query |= {name: parse_time(name, parameters[name]) for name in ("since", "until") if parameters.get(name)}
    limit = parameters.get("limit")
    if limit:
        if not (limit.isascii() and limit.isdigit() and len(limit) < 6 and 1 <= int(limit) <= MAX_EVENTS):
            raise SettingError(f"limit must be a whole number from 1 to {MAX_EVENTS}")
        query["limit"] = int(limit)
    return query


def parse_time(name: str, text: str) -> datetime:
    """Parse a time: ISO 8601, UTC if it has no time zone, or seconds since 1970."""
    try:
        return datetime.fromtimestamp(float(text), timezone.utc)
    except (ValueError, OverflowError, OSError):
        pass
    try:
        # A "+" that is not escaped arrives as a space.
        time = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+") if "T" in text else text)
    except ValueError:
        raise SettingError(
            f"{name} must be a time such as 2026-11-24T14:00:00Z, or seconds since 1970, got {printable(text[:40])!r}"
        ) from None
    return time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)
