"""What stands before every page: which host was meant, who asks, from where; and the headers of every answer.

- Host: a page of another site can make its own name resolve to 127.0.0.1 (DNS rebinding) and read what is there. So a
  server that asks for no token, which is therefore on loopback, answers only to loopback's own names.
- Token: as ``Authorization: Bearer`` or as the cookie that the login page sets. Never in a URL.
- Origin: what changes something must come from our own page, or from no page at all.
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from device_apps.sources.frames import OnMessage
from device_apps.web.log_once import log_once
from device_apps.web.token import LoginRateLimiter, Token

__all__ = ["LOGIN", "AuthMiddleware", "refusal"]

LOGIN = "/login"

_READING = frozenset({"GET", "HEAD"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # With "no-referrer" browsers hide the origin of our own forms, too.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_NOTHING_ALLOWED = "default-src 'none'; frame-ancestors 'none'"


def refusal(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    """An answer that is a reason: ``{"error": why}``."""
    return JSONResponse({"error": why}, status, headers)


class AuthMiddleware:
    """Wraps an ASGI application.

    Args:
        app: what is guarded. Its ``/login`` is open to all.
        token: None where none is needed.
        host: the name that the server was told to listen on.
        cookie: the name of the cookie that holds a session.
        guesses: counts wrong tokens.
        notice: is told what went wrong inside ``app``, once.
    """

    def __init__(
        self, app: ASGIApp, token: Token | None, host: str, cookie: str, guesses: LoginRateLimiter, notice: OnMessage
    ) -> None:
        self._app = app
        self._token = token
        self._host = host.lower()
        self._cookie = cookie
        self._guesses = guesses
        self._notice = log_once(notice)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"  # The server neither upgrades nor announces its lifespan.
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message)
            await send(message)

        app = self._refuse(Request(scope)) or self._app
        try:
            await app(scope, receive, send_guarded)
        except Exception as error:
            self._notice(f"web: {scope['path']!r} failed: {type(error).__name__}: {error}")
            if started:
                raise  # The server closes the connection.
            await refusal(500, "internal error")(scope, receive, send_guarded)

    def _refuse(self, request: Request) -> Response | None:
        """Why not to serve this request, as an answer."""
        host = request.headers.get("host", "")
        if self._token is None and not self._ours(host):
            return refusal(421, "this preview answers only to this machine's own names, such as localhost")
        if request.method not in _READING and not _same_origin(request.headers, host):
            return refusal(403, "this was sent by a page of another site")
        if self._token is None or request.url.path == LOGIN:
            return None
        return self._refuse_stranger(request, self._token)

    def _ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name in ("localhost", self._host)

    def _refuse_stranger(self, request: Request, token: Token) -> Response | None:
        if token.knows_session(request.cookies.get(self._cookie, "")):
            return None
        scheme, _, candidate = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            client = request.client.host if request.client else ""
            wait_s = self._guesses.wait_s(client)
            if wait_s:
                return refusal(429, "too many wrong tokens; wait", {"Retry-After": str(round(wait_s) + 1)})
            if token.matches(candidate.strip()):
                return None
            self._guesses.add(client)
        elif request.method in _READING and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(LOGIN, 303)
        return refusal(401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})


def _same_origin(headers: Headers, host: str) -> bool:
    """Whether a request comes from a page of this server, or from a program that is no browser."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    return origin.partition("://")[2].lower() == host.lower() != ""


def _add_headers(message: dict[str, Any] | Any) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", _NOTHING_ALLOWED)
