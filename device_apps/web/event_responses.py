"""Responses about events."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from device_apps.web.access.middleware import error_response

__all__ = ["in_thread", "list_response", "unknown_event"]

_T = TypeVar("_T")


async def in_thread(function: Callable[[], _T]) -> _T:
    """Call what reads files in a thread: a disk may be slow."""
    return await asyncio.get_running_loop().run_in_executor(None, function)


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


def unknown_event(max_events: int) -> Response:
    """Return the response to a request for an event that is not kept, or never was."""
    return error_response(404, f"there is no such event; the newest {max_events} are kept")
