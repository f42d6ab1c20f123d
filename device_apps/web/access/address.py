"""Listening address of the web preview, ``[HOST:]PORT``, and its socket."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = ["ALL_ADDRESSES", "Address", "is_loopback_name", "open_listener", "parse_address", "reachable_host"]

ALL_ADDRESSES = ("0.0.0.0", "::")
"""Hosts that stand for all addresses of the machine."""

_LOOPBACK = "127.0.0.1"
# An address of the documentation (RFC 5737): it chooses the interface of other networks, and nothing is sent to it.
_SOMEWHERE = ("192.0.2.1", 9)

# Send buffer of each connection: more would fill with outdated frames for a slow viewer.
_SEND_BUFFER_BYTES = 64 * 1024
# Time after which a connection is closed if its peer acknowledges nothing.
_DEAD_PEER_S = 120
_BACKLOG = 64
_REASONS = {
    errno.EADDRINUSE: "the port is in use by another program; choose another port",
    errno.EACCES: "no permission for this port; choose a port of at least 1024",
    errno.EADDRNOTAVAIL: "this machine does not have this address; give one that it has, or 0.0.0.0 for all",
}


@dataclass(frozen=True)
class Address:
    """A host name or IP address, and a port (0: any free port)."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether all IP addresses of ``host`` are loopback: only this machine can connect. EdgeSSDError if none."""
        return all(ipaddress.ip_address(address[0]).is_loopback for _, address in _resolve(self))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Parse ``8080``, ``0.0.0.0:8080``, ``camera.local:8080`` or ``[::1]:8080``; raise SettingError otherwise."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise SettingError(f"--web {text}: write an IPv6 address in brackets: [::1]:8080")
    if colon and not host:
        raise SettingError(f"--web {text}: the host before the colon is missing; give {port} for this machine only")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise SettingError(f"--web {text}: expected [HOST:]PORT with a port from 0 to 65535, such as 8080")
    return Address(host or _LOOPBACK, int(port))


def is_loopback_name(name: str) -> bool:
    """Return whether a host name or IP address means the machine itself, by what is written alone."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def reachable_host(address: Address) -> str | None:
    """Return a name or address under which other machines reach this one, None if ``address`` is loopback.

    Where the server listens on all addresses it is that of the interface to other networks, else the host name.
    """
    if address.loopback:
        return None
    if address.host not in ALL_ADDRESSES:
        return address.host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_SOMEWHERE)
            host: str = probe.getsockname()[0]
        except OSError:  # No route to other networks.
            host = _LOOPBACK
    return socket.gethostname() if is_loopback_name(host) else host


def open_listener(address: Address) -> socket.socket:
    """Return a socket that listens. Raises EdgeSSDError if the host is unknown or the port in use or not permitted."""
    family, socket_address = _resolve(address)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # Reuse the port of a server that just ended.
        _set_options(listener)
        if socket_address[0] == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # Accept IPv4 too.
        listener.bind(socket_address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = _REASONS.get(
            error.errno or 0, f"cannot listen on it: {error.strerror}; choose another address or port"
        )
        raise EdgeSSDError(f"--web {address}: {reason}") from None
    return listener


def _set_options(listener: socket.socket) -> None:
    """Set the options that accepted connections inherit; options that the system lacks are skipped."""
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_SNDBUF", _SEND_BUFFER_BYTES),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _DEAD_PEER_S // 4),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", _DEAD_PEER_S // 4),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", _DEAD_PEER_S * 1000),
    ):
        with contextlib.suppress(OSError, AttributeError):
            listener.setsockopt(level, getattr(socket, name), value)


def _resolve(address: Address) -> list[tuple[int, tuple[Any, ...]]]:
    """Return address family and socket address of each IP address of the host, IPv4 first."""
    try:
        entries = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise EdgeSSDError(f"--web {address}: unknown host {address.host!r}; give an address of this machine") from None
    entries.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return [(family, socket_address) for family, _, _, _, socket_address in entries]
