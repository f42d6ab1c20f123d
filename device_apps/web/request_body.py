"""Read a request body within limits of size and time."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from device_apps.web.limits import WebLimits

__all__ = ["read_body"]


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
