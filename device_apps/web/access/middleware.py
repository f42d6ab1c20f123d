"""Access control of every request, and the security headers of every response.

- Host: a page of another site can make its own name resolve to 127.0.0.1 (DNS rebinding) and read the response. A
  server without a login, which only listens on loopback, therefore accepts only the names of loopback.
- Login: ``Authorization: Bearer`` with the token, the cookie that the login page sets, or ``Authorization: Basic``.
  Never in a URL.
- Origin: a request that changes state must come from a page of this server, or from a client that is no browser.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from device_apps.retry import FailureLog
from device_apps.web.access.address import is_loopback_name
from device_apps.web.access.basic_login import BasicLogin
from device_apps.web.access.origin import cross_origin_reason, shown
from device_apps.web.access.rate_limiter import LoginRateLimiter
from device_apps.web.access.token import Token
from device_apps.web.access.visit import Front, Visit
from device_apps.web.pages import accepts_html

__all__ = ["AUTHORIZED", "BASIC_PATH", "LOGIN_PATH", "VISIT", "Access", "AuthMiddleware", "error_response"]

_log = logging.getLogger(__name__)

LOGIN_PATH = "/login"
BASIC_PATH = "/login/basic"
VISIT = "edge_ssd.visit"
"""Key of the :class:`~device_apps.web.access.visit.Visit` in the scope of a request."""
AUTHORIZED = "edge_ssd.authorized"
"""Key of whether a request that was allowed has logged in, or needs no login."""

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would also hide the origin of the forms of this server.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx passes the streams on as they come.
}
_DENY_ALL_POLICY = "default-src 'none'; frame-ancestors 'none'"


def error_response(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    """Return a response with HTTP ``status``, extra ``headers`` and the JSON body ``{"error": reason}``."""
    return JSONResponse({"error": reason}, status, headers)


@dataclass(frozen=True)
class Access:
    """Who may enter.

    Attributes:
        token, basic: the access token, and user and password; with neither everyone may, under the names of loopback.
        host: the host name that the server listens on.
        cookie: the name of the session cookie.
        front: the proxies in front of the server.
        slow_down_s: time after which wrong tokens are answered, when there were too many.
    """

    token: Token | None
    basic: BasicLogin | None
    host: str
    cookie: str
    front: Front
    slow_down_s: float

    @property
    def open(self) -> bool:
        """Whether no login is needed."""
        return self.token is None and self.basic is None


class AuthMiddleware:
    """ASGI middleware that authenticates requests and adds security headers.

    The first exception that ``app`` raises is logged; every one is answered with status 500.

    Args:
        app: the wrapped application. Its ``/login`` needs no login.
    """

    def __init__(self, app: ASGIApp, access: Access, rate_limiter: LoginRateLimiter) -> None:
        self._app = app
        self._access = access
        self._rate_limiter = rate_limiter
        self._warn = FailureLog(_log).failed
        self._warn_origin = FailureLog(_log).failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"  # The server disables WebSockets and lifespan messages.
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _add_headers(message)
            await send(message)

        visit = scope[VISIT] = self._access.front.visit(scope)
        app: ASGIApp | None = _without_root_path(scope, visit.root_path)
        if app is None:
            app = await self._refuse(Request(scope), visit)
        if app is None:
            scope[AUTHORIZED] = self._access.open or scope["path"] != LOGIN_PATH
            app = self._app
        try:
            await app(scope, receive, send_with_headers)
        except Exception as error:
            self._warn(f"web: {scope['path']!r} failed: {type(error).__name__}: {error}")
            if started:
                raise  # Makes the server close the connection.
            await error_response(500, "internal error")(scope, receive, send_with_headers)

    async def _refuse(self, request: Request, visit: Visit) -> Response | None:
        """Return the error response to a request that is not allowed, else None."""
        host = request.headers.get("host", "")
        if self._access.open and not self._is_own_name(host):
            return error_response(421, _wrong_host(host, visit))
        if request.method not in _SAFE_METHODS:
            reason = cross_origin_reason(request.headers, visit, any_host=not self._access.open)
            if reason is not None:
                self._warn_origin(f"web: a change was refused: {reason}", "origin")
                return error_response(403, reason)
        if self._access.open or request.scope["path"] == LOGIN_PATH:
            return None
        return await self._authenticate(request, visit)

    def _is_own_name(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return is_loopback_name(name) or name == self._access.host.lower()

    async def _authenticate(self, request: Request, visit: Visit) -> Response | None:
        token, basic = self._access.token, self._access.basic
        if token is not None and token.is_valid_session(request.cookies.get(self._access.cookie, "")):
            return None
        scheme, _, candidate = request.headers.get("authorization", "").partition(" ")
        login = {"bearer": token, "basic": basic}.get(scheme.lower())
        if login is not None:
            # The right one first: however many wrong ones there were, its owner enters.
            if login.matches(candidate.strip()):
                return None
            wait_s = await self.slow_down(visit.client)
            if wait_s:
                headers = {"Retry-After": str(round(wait_s) + 1)}
                return error_response(429, f"too many wrong {_kind(login)}s; wait", headers)
        page = request.method in _SAFE_METHODS and accepts_html(request)
        if page and login is None and token is not None and request.scope["path"] != BASIC_PATH:
            return RedirectResponse(visit.root_path + LOGIN_PATH + _next_query(request), 303)
        return self._challenge()

    async def slow_down(self, client: str) -> float:
        """Count a wrong token; if there were too many, wait and return the seconds until there are not, else 0."""
        wait_s = self._rate_limiter.retry_after(client)
        self._rate_limiter.record_failure(client)
        if wait_s:
            await asyncio.sleep(self._access.slow_down_s)
        return wait_s

    def _challenge(self) -> Response:
        challenges, needs = [], []
        if self._access.token is not None:
            challenges.append("Bearer")
            needs.append("a token is needed: Authorization: Bearer TOKEN")
        if self._access.basic is not None:
            challenges.append('Basic realm="Edge SSD", charset="UTF-8"')
            needs.append("user and password are needed: Authorization: Basic")
        return error_response(401, ", or ".join(needs), {"WWW-Authenticate": ", ".join(challenges)})


def _next_query(request: Request) -> str:
    """Return the query that makes the login page lead to the page that is asked for; the root needs none."""
    path, query = quote(request.scope["path"]), request.url.query
    wanted = f"{path}?{query}" if query else path
    return "" if wanted == "/" else f"?{urlencode({'next': wanted})}"


def _kind(login: Token | BasicLogin) -> str:
    return "token" if isinstance(login, Token) else "password"


def _wrong_host(host: str, visit: Visit) -> str:
    return (
        f"this preview answers only to this machine's own names, such as localhost; the Host of this request is "
        f"{shown(host)}. To use this name, start edge-ssd with --web-token-file or --web-login-file. A proxy that "
        "itself checks who enters sends its own Host: for nginx remove proxy_set_header Host, for Caddy add header_up "
        f"Host localhost; both need --web-trusted-proxy {visit.peer}, and nginx proxy_set_header X-Forwarded-Host "
        "$http_host;"
    )


def _without_root_path(scope: Scope, root_path: str) -> Response | None:
    """Remove the root path from the path of a request; return a redirect if there is nothing more, not even a "/"."""
    path = scope["path"]
    if not root_path or not path.startswith(root_path):
        return None
    rest = path[len(root_path) :]
    if not rest:
        return RedirectResponse(f"{root_path}/", 308)
    if rest.startswith("/"):
        scope["path"], scope["raw_path"] = rest, rest.encode("utf-8", "surrogateescape")
    return None


def _add_headers(message: dict[str, Any] | Any) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in _HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", _DENY_ALL_POLICY)
