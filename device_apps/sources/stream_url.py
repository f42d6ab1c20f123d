"""The URL of a camera: as it may be shown, and why nothing comes from it."""

from __future__ import annotations

import contextlib
import re
import socket
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

if TYPE_CHECKING:
    import ssl

__all__ = ["diagnose_stream", "redact_url"]

_DEFAULT_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935}
_TIMEOUT_S = 3.0
_SECRET = re.compile(r"((?:pas|pwd|token|secret|key|auth)[^=&#/?]*=)[^&#]*", re.IGNORECASE)


def redact_url(url: str) -> str:
    """The URL as it may be shown and logged.

    Rather too little is shown than too much: a password that is not escaped as it should be may hold any character,
    and many cameras take it as a parameter.
    """
    return _SECRET.sub(r"\1***", re.sub(r"(://[^/:@]*):.*@", r"\1:***@", url, count=1))


def diagnose_stream(url: str) -> str:
    """Ask once more, in a way that says what is wrong, without user and password. Takes some seconds at most."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme.lower())
    except ValueError:
        return (
            "no URL: its host or port is malformed; give http://, https:// or rtsp:// with a host, "
            "and write / ? # @ in a password as %2F %3F %23 %40"
        )
    if not parts.hostname or port is None:
        return "OpenCV cannot open this URL; give http://, https:// or rtsp:// with a host"
    try:
        status = _status(parts, parts.hostname, port)
    except OSError as error:
        reason = error.strerror or error
        return f"nothing answers at {parts.hostname}:{port} ({reason}); check the address and that the camera is on"
    if status is None:
        return "the server takes the connection, but sends no video; is it a camera, and has it too many viewers?"
    if status.startswith("401"):
        return f"the server answers {status}; check user and password ({parts.scheme}://USER:PASSWORD@…)"
    if not status.startswith("200"):
        return f"the server answers {status}; check the path, user and password of the URL"
    return "the server answers, but sends no video; check the path, user and password of the URL"


def _status(parts: SplitResult, host: str, port: int) -> str | None:
    """What the server answers, such as "404 Not Found", or None when it says nothing. Raises OSError."""
    scheme = parts.scheme.lower()
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    target = quote(urlunsplit(("", "", parts.path or "/", parts.query, "")), safe="/?&=%+,;:@!$'()*~")
    requests = {
        "http": f"GET {target} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n",
        "rtsp": f"DESCRIBE rtsp://{place}{target} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n",
    }
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((host, port), _TIMEOUT_S))
        if scheme in ("https", "rtsps"):
            connection = stack.enter_context(_unverified().wrap_socket(connection, server_hostname=host))
        try:
            connection.sendall(requests.get(scheme.rstrip("s"), "").encode())
            answer = connection.recv(200).decode("latin-1")
        except TimeoutError:
            return None
    protocol, _, status = answer.partition("\r\n")[0].partition(" ")
    if not protocol.startswith(("HTTP/", "RTSP/")):
        return None
    return "".join(letter for letter in status if letter.isprintable())


def _unverified() -> ssl.SSLContext:
    """Cameras sign their own certificates, and no secret is sent to them here."""
    import ssl  # a megabyte that only this diagnosis needs

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
