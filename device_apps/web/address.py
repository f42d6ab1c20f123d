"""Where the web preview listens: ``[HOST:]PORT``, and the socket behind it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

from edge_ssd.errors import EdgeSSDError, SettingError

__all__ = ["Address", "listen", "parse_address"]

_LOOPBACK = "127.0.0.1"

# What the kernel may hold for a viewer who reads slowly. It is pictures that are already old when they are seen; the
# default would hold megabytes.
_SEND_BUFFER_BYTES = 64 * 1024
# After so long without a sign of a viewer whose picture is on its way, the connection is given up.
_VANISHED_S = 120
_BACKLOG = 64


@dataclass(frozen=True)
class Address:
    """A host (name or IP address) and a port, 0 for one that is free."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect: every address that the host stands for is a loopback address."""
        return all(ipaddress.ip_address(address[0]).is_loopback for _, address in _resolve(self))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """``8080``, ``0.0.0.0:8080``, ``camera.local:8080`` or ``[::1]:8080``; raises :class:`SettingError`."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise SettingError(f"--web {text}: write an IPv6 address in brackets: [::1]:8080")
    if colon and not host:
        raise SettingError(f"--web {text}: there is no host before the colon; give {port} for this machine only")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise SettingError(f"--web {text}: expected [HOST:]PORT with a port from 0 to 65535, such as 8080")
    return Address(host or _LOOPBACK, int(port))


def listen(address: Address) -> socket.socket:
    """A listening socket; raises :class:`EdgeSSDError` saying why there can be none."""
    family, where = _resolve(address)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # The port of a server that just ended.
        _set_for_viewers(listener)
        if where[0] == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # "All addresses" means IPv4 too.
        listener.bind(where)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise EdgeSSDError(f"--web {address}: {_why(error)}") from None
    return listener


def _set_for_viewers(listener: socket.socket) -> None:
    """Options that every accepted connection inherits. Where a system lacks one, the default has to do."""
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _VANISHED_S // 4),
        ("TCP_KEEPINTVL", _VANISHED_S // 4),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _VANISHED_S * 1000),
    ):
        if hasattr(socket, name):
            with contextlib.suppress(OSError):
                listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _resolve(address: Address) -> list[tuple[int, tuple[Any, ...]]]:
    """Address family and socket address of each IP address of the host, IPv4 first."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise EdgeSSDError(
            f"--web {address}: there is no host {address.host!r}; give an address of this machine"
        ) from None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return [(family, where) for family, _, _, _, where in found]


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is in use by another program; choose another port"
    if error.errno == errno.EACCES:
        return "no permission for this port; choose one from 1024"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; give one of its own, or 0.0.0.0 for all"
    return f"cannot listen there: {error.strerror}; choose another address or port"
