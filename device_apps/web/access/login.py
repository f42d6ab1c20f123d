"""Login page that exchanges the access token, or a one-time code, for a session cookie."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from device_apps.web.access.login_codes import CODE_S, CodeState, LoginCodes
from device_apps.web.access.middleware import LOGIN_PATH, VISIT
from device_apps.web.access.token import SESSION_S, Token
from device_apps.web.access.visit import Visit
from device_apps.web.limits import WebLimits
from device_apps.web.pages import Page
from device_apps.web.request_body import read_body

__all__ = ["Login", "own_path"]

_NEW_LINK = "Make a new one with \u201cOpen on a phone\u201d where you are signed in, or enter the token."
_REFUSED_CODES = {
    CodeState.USED: f"This link has been used already. {_NEW_LINK}",
    CodeState.EXPIRED: f"This link has expired: it was valid for {CODE_S / 60:.0f} minutes. {_NEW_LINK}",
    CodeState.UNKNOWN: f"This link is not valid. {_NEW_LINK}",
}
# Printable ASCII without a backslash, which browsers take for a slash; two slashes begin another host.
_OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]{0,2000}")
_BASIC_LINK = '<a href="login/basic">User and password</a>'


class Login:
    """Endpoints ``/login``, ``/login/basic`` and ``/logout``.

    Args:
        codes: one-time codes that are taken in place of the token.
        cookie: name of the session cookie.
        slow_down: counts a wrong token of a client; see :meth:`AuthMiddleware.slow_down`.
        limits: of request bodies.
        basic: whether there is a user with a password too.
    """

    def __init__(
        self,
        token: Token,
        codes: LoginCodes,
        cookie: str,
        slow_down: Callable[[str], Awaitable[float]],
        limits: WebLimits,
        *,
        basic: bool,
    ) -> None:
        self._token = token
        self._codes = codes
        self._cookie = cookie
        self._slow_down = slow_down
        self._limits = limits
        self._page = Page("login.html", {"<!-- basic -->": _BASIC_LINK if basic else ""})

    async def login(self, request: Request) -> Response:
        """Show the form on GET; check the submitted token or code on POST. A right one always enters."""
        if request.method != "POST":
            return self._page.response(next_path=own_path(request.query_params.get("next", "")))
        fields = _fields_of(await read_body(request, self._limits))
        visit: Visit = request.scope[VISIT]
        next_path = own_path(fields.get("next", ""))
        if "code" not in fields:
            if self._token.matches(fields.get("token", "")):
                return self._enter(visit, next_path)
            kind, refusal = "token", "That is not the token."
        else:
            state = self._codes.redeem(fields["code"])
            if state is CodeState.VALID:
                return self._enter(visit, next_path)
            if self._token.is_valid_session(request.cookies.get(self._cookie, "")):
                return RedirectResponse(f"{visit.root_path}/", 303)  # This device has used its link before.
            kind, refusal = "link", _REFUSED_CODES[state]
        wait_s = await self._slow_down(visit.client)
        if wait_s:
            seconds = round(wait_s) + 1
            message = f"Too many wrong {kind}s. Wait {seconds} s."
            return self._page.response(429, message, {"Retry-After": str(seconds)}, next_path)
        return self._page.response(401, refusal, next_path=next_path)

    async def basic(self, request: Request) -> Response:
        """Start a session of a browser that has sent user and password, which were checked before."""
        return self._enter(request.scope[VISIT], own_path(request.query_params.get("next", "")))

    async def logout(self, request: Request) -> Response:
        """Delete the session cookie."""
        visit: Visit = request.scope[VISIT]
        response = RedirectResponse(visit.root_path + LOGIN_PATH, 303)
        response.delete_cookie(self._cookie, path=f"{visit.root_path}/", httponly=True, samesite="strict")
        return response

    def _enter(self, visit: Visit, next_path: str) -> Response:
        response = RedirectResponse(visit.root_path + next_path, 303)
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


def own_path(wanted: str) -> str:
    """Return ``wanted`` if it is a path of this server, with its query and fragment, to open after the login; else "/".

    It comes from a link that anybody may have made: it must not lead to another server, or out of the root path.
    """
    parts = unquote(re.split("[?#]", wanted, maxsplit=1)[0]).split("/")
    is_own = _OWN_PATH.fullmatch(wanted) and not {".", ".."} & set(parts) and parts[1] not in ("login", "logout")
    return wanted if is_own else "/"


def _fields_of(form: bytes) -> dict[str, str]:
    """Return the fields of an ``application/x-www-form-urlencoded`` body, none if there are too many."""
    try:
        fields = parse_qs(form.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[0].strip() for name, values in fields.items()}
