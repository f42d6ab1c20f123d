"""Links that sign in a phone once, with a QR code: on the page of those who have signed in, and on a terminal.

The code is the fragment of the link, which browsers do not send: it is in no log of a server or proxy, and in no
Referer. The script of the login page posts it.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from functools import partial
from typing import TextIO
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from device_apps.web.access.address import ALL_ADDRESSES, Address, is_loopback_name, reachable_host
from device_apps.web.access.login_codes import CODE_S, LoginCodes
from device_apps.web.access.middleware import LOGIN_PATH, VISIT, error_response
from device_apps.web.access.visit import Visit
from device_apps.web.qr_code import INSTALL_HINT, svg_data_uri, terminal_text
from edge_ssd.console.status_line import above_status_line, shows_progress

__all__ = ["LINK_PATH", "LoginLinks"]

LINK_PATH = "/api/login-link"


@dataclass(frozen=True)
class LoginLinks:
    """Maker of login links.

    Attributes:
        codes: of the links.
        page_url: address of the page without its last "/" that is used in any case (``--web-url``), or None.
        address: that the server listens on, with its true port.
        root_path: path under which a proxy shows the page, without its last "/".
    """

    codes: LoginCodes
    page_url: str | None
    address: Address
    root_path: str

    async def create(self, request: Request) -> Response:
        """Return a new link as JSON: ``url``, ``valid_s``, ``qr`` (an SVG as ``data:`` URI) or null and ``hint``."""
        base = self.page_url or _origin_of(request) or self._direct_url()
        if base is None:
            return error_response(409, _unreachable(self.address.port))
        url = f"{base}{LOGIN_PATH}#{self.codes.new()}"
        # It takes tenths of a second on a small board.
        qr = await asyncio.get_running_loop().run_in_executor(None, partial(svg_data_uri, url))
        return JSONResponse({"url": url, "valid_s": CODE_S, "qr": qr, "hint": INSTALL_HINT if qr is None else ""})

    def show(self, terminal: TextIO | None = None) -> None:
        """Write a new link and its QR code to standard error if that is a terminal and a phone can reach the page.

        Nothing is written with ``--quiet``. It is no log message: logs are kept.
        """
        stream = sys.stderr if terminal is None else terminal
        if not (stream.isatty() and shows_progress()):
            return
        base = self.page_url or self._direct_url()
        if base is None:
            return
        url = f"{base}{LOGIN_PATH}#{self.codes.new()}"
        qr = terminal_text(url, stream)
        with above_status_line(stream):
            stream.write(f"edge-ssd: open on a phone, once within {CODE_S / 60:.0f} minutes: {url}\n")
            stream.write(f"edge-ssd: {INSTALL_HINT}\n" if qr is None else qr)
            stream.flush()

    def _direct_url(self) -> str | None:
        """Return the address of the page on the network without a proxy, or None if only this machine can connect."""
        host = reachable_host(self.address)
        return None if host is None else f"http://{Address(host, self.address.port)}{self.root_path}"


def _origin_of(request: Request) -> str | None:
    """Return the address of the page that sent a request, which was checked to be of this server, None if loopback."""
    visit: Visit = request.scope[VISIT]
    scheme = "https" if visit.secure else "http"
    origin = request.headers.get("origin") or f"{scheme}://{visit.hosts[-1]}"
    try:
        parts = urlsplit(origin)
        name = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not name or name in ALL_ADDRESSES or is_loopback_name(name):
        return None
    return f"{origin}{visit.root_path}"


def _unreachable(port: int) -> str:
    return (
        f"No phone can reach this address. Start edge-ssd with --web 0.0.0.0:{port}, "
        "or behind a proxy with --web-url and the address of the page"
    )
