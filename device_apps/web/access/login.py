"""Login page that exchanges the access token for a session cookie."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from device_apps.web.access.token import SESSION_S, LoginRateLimiter, Token
from device_apps.web.limits import WebLimits
from device_apps.web.pages import Page
from device_apps.web.request_body import read_body

__all__ = ["Login"]


class Login:
    """Endpoints ``/login`` and ``/logout``; ``cookie`` is the session cookie's name, ``limits`` are for bodies."""

    def __init__(self, token: Token, cookie: str, rate_limiter: LoginRateLimiter, limits: WebLimits) -> None:
        self._token = token
        self._cookie = cookie
        self._rate_limiter = rate_limiter
        self._limits = limits
        self._page = Page("login.html")

    async def login(self, request: Request) -> Response:
        """Show the form on GET; check the submitted token on POST."""
        if request.method != "POST":
            return self._page.response()
        body = await read_body(request, self._limits)
        client = request.client.host if request.client else ""
        wait_s = self._rate_limiter.retry_after(client)
        if wait_s:
            seconds = round(wait_s) + 1
            return self._page.response(429, f"Too many wrong tokens. Wait {seconds} s.", {"Retry-After": str(seconds)})
        if not self._token.matches(_token_of(body)):
            self._rate_limiter.record_failure(client)
            return self._page.response(401, "That is not the token.")
        response = RedirectResponse("/", 303)
        response.set_cookie(
            self._cookie,
            self._token.new_session(),
            max_age=SESSION_S,
            httponly=True,
            samesite="strict",
            # Set by a TLS proxy. A client that forges it only keeps the cookie from itself.
            secure=request.headers.get("x-forwarded-proto") == "https",
        )
        return response

    async def logout(self, request: Request) -> Response:
        """Delete the session cookie."""
        response = RedirectResponse("/login", 303)
        response.delete_cookie(self._cookie, httponly=True, samesite="strict")
        return response


def _token_of(form: bytes) -> str:
    """Return the field ``token`` of an ``application/x-www-form-urlencoded`` body, "" if it is missing."""
    try:
        fields = parse_qs(form.decode("utf-8", "replace"), max_num_fields=10)
    except ValueError:  # Too many fields.
        return ""
    return fields.get("token", [""])[0].strip()
