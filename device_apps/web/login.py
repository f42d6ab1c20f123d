"""The login page: a token is exchanged for a cookie that only this server understands."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from device_apps.web.pages import Page
from device_apps.web.request_body import read_body
from device_apps.web.token import SESSION_S, LoginRateLimiter, Token

__all__ = ["Login"]


class Login:
    """Endpoints of ``/login`` and ``/logout``; see :class:`~device_apps.web.auth.Guard` for the arguments."""

    def __init__(self, token: Token, cookie: str, guesses: LoginRateLimiter) -> None:
        self._token = token
        self._cookie = cookie
        self._guesses = guesses
        self._page = Page("login.html")

    async def login(self, request: Request) -> Response:
        """The form, and what it sends."""
        if request.method != "POST":
            return self._page.response()
        body = await read_body(request)
        client = request.client.host if request.client else ""
        wait_s = self._guesses.wait_s(client)
        if wait_s:
            seconds = round(wait_s) + 1
            return self._page.response(429, f"Too many wrong tokens. Wait {seconds} s.", {"Retry-After": str(seconds)})
        if not self._token.matches(_token_of(body)):
            self._guesses.add(client)
            return self._page.response(401, "That is not the token.")
        response = RedirectResponse("/", 303)
        response.set_cookie(
            self._cookie,
            self._token.new_session(),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            # Only a proxy with TLS in front says so; whoever forges it keeps the cookie from himself.
            secure=request.headers.get("x-forwarded-proto") == "https",
        )
        return response

    async def logout(self, request: Request) -> Response:
        """Forget the cookie."""
        response = RedirectResponse("/login", 303)
        response.delete_cookie(self._cookie, httponly=True, samesite="strict")
        return response


def _token_of(form: bytes) -> str:
    """The field ``token`` of an ``application/x-www-form-urlencoded`` body; empty where there is none."""
    try:
        fields = parse_qs(form.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:  # More fields than our form has.
        return ""
    return fields.get("token", [""])[0].strip()
