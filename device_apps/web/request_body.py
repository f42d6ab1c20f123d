"""Read a request body within limits of size and time, and parse it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from device_apps.web.limits import WebLimits
from edge_ssd.errors import SettingError

__all__ = ["is_json", "parse_json", "read_body"]


def is_json(request: Request) -> bool:
    """Return whether the body is said to be JSON.

    Browsers send this type, and every method but GET, HEAD and POST, across origins only after a CORS preflight, which
    is never granted.
    """
    kind: str = request.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/json"


def parse_json(body: bytes) -> Any:
    """Return the content of a body; raise SettingError if it is not JSON."""
    try:
        return json.loads(body)
    except ValueError:  # Includes a wrong encoding.
        raise SettingError("the body must be JSON") from None
    except RecursionError:
        raise SettingError("the body is nested too deeply") from None


async def read_body(request: Request, limits: WebLimits) -> bytes:
    """Return the body of a request; raise HTTPException 413 if it is too large, 408 if too slow, 400 if incomplete."""
    try:
        return await asyncio.wait_for(_read(request, limits.max_body_bytes), limits.body_timeout_s)
    except asyncio.TimeoutError:
        raise HTTPException(408, "the body did not come in time", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "the body is incomplete") from None


async def _read(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise HTTPException(413, f"the body is larger than {max_bytes} bytes", {"Connection": "close"})
    return bytes(body)
