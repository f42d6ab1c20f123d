"""Access control of every request, and the security headers of every response.

- Host: a page of another site can make its own name resolve to 127.0.0.1 (DNS rebinding) and read the response. A
  server without a token, which only listens on loopback, therefore accepts only the names of loopback.
- Token: ``Authorization: Bearer`` or the cookie that the login page sets. Never in a URL.
- Origin: a request that changes state must come from a page of this server, or from a client that is no browser.
"""

from __future__ import annotations

import ipaddress
import logging
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from device_apps.retry import FailureLog
from device_apps.web.access.token import LoginRateLimiter, Token

__all__ = ["LOGIN_PATH", "AuthMiddleware", "error_response"]

_log = logging.getLogger(__name__)

LOGIN_PATH = "/login"

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would also hide the origin of the forms of this server.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_DENY_ALL_POLICY = "default-src 'none'; frame-ancestors 'none'"


def error_response(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    """Return a response with HTTP ``status``, extra ``headers`` and the JSON body ``{"error": reason}``."""
    return JSONResponse({"error": reason}, status, headers)


class AuthMiddleware:
    """ASGI middleware that authenticates requests and adds security headers.

    The first exception that ``app`` raises is logged; every one is answered with status 500.

    Args:
        app: the wrapped application. Its ``/login`` needs no token.
        token: the access token, or None if none is required.
        host: the host name that the server listens on.
        cookie: the name of the session cookie.
    """

    def __init__(
        self, app: ASGIApp, token: Token | None, host: str, cookie: str, rate_limiter: LoginRateLimiter
    ) -> None:
        self._app = app
        self._token = token
        self._host = host.lower()
        self._cookie = cookie
        self._rate_limiter = rate_limiter
        self._warn = FailureLog(_log).failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"  # The server disables WebSockets and lifespan messages.
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message)
            await send(message)

        app = self._refuse(Request(scope)) or self._app
        try:
            await app(scope, receive, send_with_headers)
        except Exception as error:
            self._warn(f"web: {scope['path']!r} failed: {type(error).__name__}: {error}")
            if started:
                raise  # Makes the server close the connection.
            await error_response(500, "internal error")(scope, receive, send_with_headers)

    def _refuse(self, request: Request) -> Response | None:
        """Return the error response to a request that is not allowed, else None."""
        host = request.headers.get("host", "")
        if self._token is None and not self._is_own_name(host):
            return error_response(421, "this preview answers only to this machine's own names, such as localhost")
        if request.method not in _SAFE_METHODS and not _same_origin(request.headers, host):
            return error_response(403, "this was sent by a page of another site")
        if self._token is None or request.url.path == LOGIN_PATH:
            return None
        return self._authenticate(request, self._token)

    def _is_own_name(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name in ("localhost", self._host)

    def _authenticate(self, request: Request, token: Token) -> Response | None:
        if token.is_valid_session(request.cookies.get(self._cookie, "")):
            return None
        scheme, _, candidate = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            client = request.client.host if request.client else ""
            wait_s = self._rate_limiter.retry_after(client)
            if wait_s:
                return error_response(429, "too many wrong tokens; wait", {"Retry-After": str(round(wait_s) + 1)})
            if token.matches(candidate.strip()):
                return None
            self._rate_limiter.record_failure(client)
        elif request.method in _SAFE_METHODS and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(LOGIN_PATH, 303)
        return error_response(401, "a token is needed: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"})


def _same_origin(headers: Headers, host: str) -> bool:
    """Return True for a request from a page of this server or from a client that is no browser."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    return origin.partition("://")[2].lower() == host.lower() != ""


def _add_headers(message: dict[str, Any] | Any) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", _DENY_ALL_POLICY)
