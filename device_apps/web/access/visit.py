"""Where a request comes from, and how its browser addresses this server, also behind proxies.

Headers that a proxy adds (X-Forwarded-For, -Proto, -Host, -Prefix) are used only if they come from a proxy that is
named: everyone else can send them too. A path below the root path is the same as the path without it, so that a proxy
may remove the prefix or pass it on.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import Scope

from edge_ssd.errors import SettingError

__all__ = ["Front", "Visit", "network_of", "parse_proxies", "parse_root_path"]

_ROOT_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?")
_MAX_HOPS = 20

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Visit:
    """Source of a request, and the address that its browser used.

    Attributes:
        client: IP address of the browser or program, or of the last proxy that is not named.
        peer: IP address of the connection.
        hosts: names, with ports, under which a page of this server may have been opened.
        secure: whether the browser uses TLS.
        root_path: path of the page for the browser, without its last "/"; "" for the root.
    """

    client: str
    peer: str
    hosts: tuple[str, ...]
    secure: bool
    root_path: str


@dataclass(frozen=True)
class Front:
    """What is in front of the server: the proxies that are trusted, and the path under which they show it."""

    proxies: tuple[_Network, ...] = ()
    root_path: str = ""

    def trusts(self, address: str) -> bool:
        """Return whether ``address`` is that of a named proxy."""
        parsed = _parse_address(address)
        return parsed is not None and any(parsed in network for network in self.proxies)

    def visit(self, scope: Scope) -> Visit:
        """Return where a request comes from."""
        headers = Headers(scope=scope)
        peer = scope["client"][0] if scope.get("client") else ""
        host = headers.get("host", "")
        if not self.trusts(peer):
            return Visit(peer, peer, (host,), False, self.root_path)
        hosts = [host]
        forwarded_host = _first(headers, "x-forwarded-host")
        if _HOST.fullmatch(forwarded_host):
            hosts.append(forwarded_host)
        prefix = _first(headers, "x-forwarded-prefix").rstrip("/")
        root_path = prefix if _ROOT_PATH.fullmatch(prefix) else self.root_path
        secure = _first(headers, "x-forwarded-proto").lower() == "https"
        return Visit(self._client(headers, peer), peer, tuple(hosts), secure, root_path)

    def _client(self, headers: Headers, peer: str) -> str:
        """Return the last address of X-Forwarded-For that is no named proxy; each proxy appends that of its client."""
        client = peer
        hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
        for hop in hops[: -_MAX_HOPS - 1 : -1]:
            address = _parse_address(_without_port(hop.strip()))
            if address is None:
                break
            client = str(address)
            if not self.trusts(client):
                break
        return client


def parse_proxies(texts: Sequence[str]) -> tuple[_Network, ...]:
    """Parse addresses and networks of proxies, such as ``127.0.0.1`` or ``172.16.0.0/12``; SettingError otherwise."""
    networks = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise SettingError(
                f"--web-trusted-proxy {text}: expected an IP address or a network, such as 127.0.0.1 or 172.16.0.0/12"
            ) from None
    return tuple(networks)


def parse_root_path(text: str) -> str:
    """Return the root path without its last "/", "" for the root; raise SettingError if it is not a path."""
    path = text.rstrip("/")
    if path and not _ROOT_PATH.fullmatch(path):
        raise SettingError(
            f"--web-root-path {text}: expected a path of letters, digits and - . _ ~ that begins with /, such as /cam1"
        )
    return path


def network_of(client: str) -> str:
    """Return the unit that is limited: an IPv4 address, or the /64 network of an IPv6 address."""
    address = _parse_address(client)
    if address is None:
        return client
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if address.version == 6 and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _without_port(hop: str) -> str:
    """Remove the port and the brackets that some proxies write."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _first(headers: Headers, name: str) -> str:
    return headers.get(name, "").partition(",")[0].strip()
