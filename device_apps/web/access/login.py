"""Login page that exchanges the access token for a session cookie."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from device_apps.web.access.middleware import LOGIN_PATH, VISIT
from device_apps.web.access.token import SESSION_S, Token
from device_apps.web.access.visit import Visit
from device_apps.web.limits import WebLimits
from device_apps.web.pages import Page
from device_apps.web.request_body import read_body

__all__ = ["Login"]

_BASIC_LINK = '<a href="login/basic">User and password</a>'


class Login:
    """Endpoints ``/login``, ``/login/basic`` and ``/logout``.

    Args:
        cookie: name of the session cookie.
        slow_down: counts a wrong token of a client; see :meth:`AuthMiddleware.slow_down`.
        limits: of request bodies.
        basic: whether there is a user with a password too.
    """

    def __init__(
        self,
        token: Token,
        cookie: str,
        slow_down: Callable[[str], Awaitable[float]],
        limits: WebLimits,
        *,
        basic: bool,
    ) -> None:
        self._token = token
        self._cookie = cookie
        self._slow_down = slow_down
        self._limits = limits
        self._page = Page("login.html", {"<!-- basic -->": _BASIC_LINK if basic else ""})

    async def login(self, request: Request) -> Response:
        """Show the form on GET; check the submitted token on POST. A right one always enters."""
        if request.method != "POST":
            return self._page.response()
        body = await read_body(request, self._limits)
        visit: Visit = request.scope[VISIT]
        if self._token.matches(_token_of(body)):
            return self._enter(visit)
        wait_s = await self._slow_down(visit.client)
        if wait_s:
            seconds = round(wait_s) + 1
            return self._page.response(429, f"Too many wrong tokens. Wait {seconds} s.", {"Retry-After": str(seconds)})
        return self._page.response(401, "That is not the token.")

    async def basic(self, request: Request) -> Response:
        """Start a session of a browser that has sent user and password, which were checked before."""
        return self._enter(request.scope[VISIT])

    async def logout(self, request: Request) -> Response:
        """Delete the session cookie."""
        visit: Visit = request.scope[VISIT]
        response = RedirectResponse(visit.root_path + LOGIN_PATH, 303)
        response.delete_cookie(self._cookie, path=f"{visit.root_path}/", httponly=True, samesite="strict")
        return response

    def _enter(self, visit: Visit) -> Response:
        response = RedirectResponse(f"{visit.root_path}/", 303)
        response.set_cookie(
            self._cookie,
            self._token.new_session(),
            max_age=SESSION_S,
            path=f"{visit.root_path}/",
            httponly=True,
            samesite="strict",
            secure=visit.secure,
        )
        return response


def _token_of(form: bytes) -> str:
    """Return the field ``token`` of an ``application/x-www-form-urlencoded`` body, "" if it is missing."""
    try:
        fields = parse_qs(form.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:  # Too many fields.
        return ""
    return fields.get("token", [""])[0].strip()
