"""Whether a request comes from a page of this server, and what to change if a proxy hides it."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers

from device_apps.web.access.visit import Visit
from edge_ssd.console.text import printable

__all__ = ["cross_origin_reason", "shown"]

_DEFAULT_PORTS = {"http": "80", "https": "443"}
_MAX_SHOWN = 100


def cross_origin_reason(headers: Headers, visit: Visit, *, any_host: bool) -> str | None:
    """Return why a request that changes something is refused, None if it comes from this server's page or a program.

    Args:
        any_host: whether the server answers to every host name, as one with a login does.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is None:
        return None if site in (None, "none", "same-origin") else f"this was sent by a page of another site ({site})"
    # Browsers send this over HTTPS and to localhost; a page cannot forge it.
    if site == "same-origin" or any(_same(origin, host) for host in visit.hosts):
        return None
    host = headers.get("host", "")
    reason = f"this was sent by a page of another site: its Origin is {shown(origin)}, the Host here {shown(host)}"
    return f"{reason}. {_advice(origin, host, headers, visit, any_host)}"


def shown(value: str) -> str:
    """Return the value of a header for a message."""
    return printable(value[:_MAX_SHOWN]) or "missing"


def _advice(origin: str, host: str, headers: Headers, visit: Visit, any_host: bool) -> str:
    """Return what to change if it was this server's page behind a proxy."""
    forwarded = headers.get("x-forwarded-host", "").partition(",")[0].strip()
    if _same(origin, forwarded) and len(visit.hosts) == 1:
        return (
            f"Its X-Forwarded-Host is right, but the proxy {visit.peer} is not trusted: "
            f"start edge-ssd with --web-trusted-proxy {visit.peer}"
        )
    if not any_host:
        return (
            "If it is this preview's own page behind a proxy, for nginx: proxy_set_header X-Forwarded-Host $http_host; "
            f"and start edge-ssd with --web-trusted-proxy {visit.peer}"
        )
    name, port = _split(host, "")
    origin_name, origin_port = _split(_netloc(origin), "")
    if name == origin_name and port != origin_port:
        return (
            "The proxy leaves out or changes the port; for nginx: proxy_set_header Host $http_host; "
            "(not $host), for Apache: ProxyPreserveHost On"
        )
    return (
        "If it is this preview's own page, the proxy replaces the Host; for nginx: proxy_set_header Host $http_host; "
        "for Apache: ProxyPreserveHost On"
    )


def _same(origin: str, host: str) -> bool:
    scheme = origin.partition("://")[0].lower()
    default = _DEFAULT_PORTS.get(scheme, "")
    own = _split(host, default)
    return own[0] != "" and own == _split(_netloc(origin), default)


def _netloc(origin: str) -> str:
    return origin.partition("://")[2]


def _split(netloc: str, default_port: str) -> tuple[str, str]:
    """Return name and port in lower case; ("", "") if it is not valid."""
    try:
        parts = urlsplit(f"//{netloc}")
        return parts.hostname or "", str(parts.port or default_port)
    except ValueError:
        return "", ""
