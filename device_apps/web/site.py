"""ASGI application of the web server: the endpoints of one or several cameras behind access control."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from device_apps.web.access.address import Address
from device_apps.web.access.basic_login import BasicLogin
from device_apps.web.access.login import Login
from device_apps.web.access.login_codes import LoginCodes
from device_apps.web.access.login_link import LINK_PATH, LoginLinks
from device_apps.web.access.middleware import BASIC_PATH, LOGIN_PATH, Access, AuthMiddleware, error_response
from device_apps.web.access.rate_limiter import LoginRateLimiter
from device_apps.web.access.token import Token
from device_apps.web.access.visit import Front
from device_apps.web.app import Preview
from device_apps.web.limits import WebLimits
from device_apps.web.overview import Overview

__all__ = ["Site"]

_COOKIE = "edge_ssd_{port}"  # Browsers share cookies between ports, and a board may run two programs.


@dataclass
class Site:
    """What the web server serves.

    Attributes:
        previews: the preview of each camera by its name in paths. One under the name "" is at the root; others are
            below ``/cameras/NAME/``, and an overview of them is at the root.
        token: the access token, or None if none is required.
        basic: user and password, or None if there are none.
        host, port: the listening address.
        closing: ends every stream when set, in the server's thread; that of the previews.
        front: the proxies in front of the server.
        clock: monotonic seconds, for the rate limit of logins and the end of login links.
        page_url: address of the page for others (``--web-url``), or None.
        links: makes links that sign in a phone; None without a token.
    """

    previews: Mapping[str, Preview]
    token: Token | None
    basic: BasicLogin | None
    host: str
    port: int
    closing: asyncio.Event
    front: Front = field(default_factory=Front)
    limits: WebLimits = WebLimits()
    clock: Callable[[], float] = time.monotonic
    page_url: str | None = None
    links: LoginLinks | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.token is not None:
            address = Address(self.host, self.port)
            self.links = LoginLinks(LoginCodes(self.clock), self.page_url, address, self.front.root_path)

    def app(self) -> ASGIApp:
        """Return the ASGI application, wrapped in access control."""
        app = Starlette(routes=self._routes(), exception_handlers={HTTPException: _http_error})
        app.router.redirect_slashes = False
        cookie = _COOKIE.format(port=self.port)
        access = Access(self.token, self.basic, self.host, cookie, self.front, self.limits.slow_down_s)
        middleware = AuthMiddleware(app, access, LoginRateLimiter(self.clock))
        if self.token is not None and self.links is not None:
            login = Login(
                self.token, self.links.codes, cookie, middleware.slow_down, self.limits, basic=self.basic is not None
            )
            app.add_route(LOGIN_PATH, login.login, methods=["GET", "POST"])
            app.add_route("/logout", login.logout, methods=["POST"])
            app.add_route(LINK_PATH, self.links.create, methods=["POST"])
            if self.basic is not None:
                app.add_route(BASIC_PATH, login.basic)
        return middleware

    async def run(self) -> None:
        """Publish what happens to viewers, until cancelled."""
        await asyncio.gather(*(preview.run() for preview in self.previews.values()))

    def _routes(self) -> Sequence[BaseRoute]:
        alone = self.previews.get("")
        return Overview(self.previews).routes() if alone is None else alone.routes()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return error_response(error.status_code, error.detail, dict(error.headers or {}))
