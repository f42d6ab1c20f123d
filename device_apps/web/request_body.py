"""The body of a request, of which only so much is read, and only for so long."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

__all__ = ["read_body"]

_MOST_BYTES = 64 * 1024
_LONGEST_S = 10.0


async def read_body(request: Request) -> bytes:
    """The whole body; raises a 413 for one that is too large and a 408 for one that does not come."""
    try:
        return await asyncio.wait_for(_read(request), _LONGEST_S)
    except asyncio.TimeoutError:
        raise HTTPException(408, "the body did not come in time", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "the body is not whole") from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, f"the body is larger than {_MOST_BYTES} bytes", {"Connection": "close"})
    return bytes(body)
