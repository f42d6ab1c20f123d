"""Server that events are posted to: its URL, headers and signature, and a request to it.

The request is made with :mod:`http.client`: one request at a time, without redirects, is all that is needed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from device_apps.secret_file import read_secret_file
from edge_ssd.console.redact import redact_url
from edge_ssd.console.text import argument_text, printable
from edge_ssd.errors import SettingError
from edge_ssd.version import __version__

__all__ = ["SIGNATURE_HEADER", "Answer", "Target", "parse_target", "read_headers"]

SIGNATURE_HEADER = "X-Hub-Signature-256"
"""Header of the signature, under the name that GitHub and WebSub use: ``sha256=`` and the HMAC of the body in hex."""

_EXPECTED = "expected http://[user:PASSWORD@]host[:port]/path, or https://…"
_PATH_LETTERS = "/&=%+,;:@!$'()*~"
_QUERY_LETTERS = f"{_PATH_LETTERS}?[]|"
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.1
_OWN_HEADERS = frozenset({"host", "content-length", "content-type", "transfer-encoding", "connection", "expect"})
_MAX_CONTENT, _CONTENT_S = (
    65536,
    1.0,
)  # Bytes that are read of an answer's content, none of which is used, and how long.
_MAX_REASON = 60  # characters of what a server says


class Answer(NamedTuple):
    """Answer of a server; ``retry_after`` in seconds, or None."""

    status: int
    reason: str
    retry_after: float | None


@dataclass(frozen=True)
class Target:
    """Server that events are posted to.

    Attributes:
        tls, host, port: address; ``path`` of the requests, with the query.
        headers: sent with each request, without those of the signature and the content.
        secret: key of the signature, or None for no signature.
        timeout_s: for the connection, and again for the answer to a request.
    """

    tls: bool
    host: str
    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    secret: bytes | None = None
    timeout_s: float = 10.0

    def __str__(self) -> str:
        """Return the URL without user, path and query, for messages: in most services these are secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    def post(self, body: bytes) -> Answer:
        """Send a request and return the answer.

        Raises OSError if the server cannot be reached, does not answer in time, or closes the connection, and
        :exc:`http.client.HTTPException` if its answer is not HTTP.
        """
        headers = {
            "User-Agent": f"edge-ssd/{__version__}",
            **self.headers,
            "Content-Type": "application/json",
            "Connection": "close",
        }
        if self.secret is not None:
            headers[SIGNATURE_HEADER] = f"sha256={hmac.new(self.secret, body, hashlib.sha256).hexdigest()}"
        connection = self._connection()
        try:
            connection.connect()
            end = connection.sock  # The connection forgets it when the answer begins.
            with _time_limit(end, self.timeout_s):
                connection.request("POST", self.path, body, headers)
                response = connection.getresponse()
            # A server that still writes when its connection is closed may take the request for a failed one.
            with contextlib.suppress(OSError, http.client.HTTPException), _time_limit(end, _CONTENT_S):
                response.read(_MAX_CONTENT)
        finally:
            connection.close()
        reason = printable((response.reason or "").strip()[:_MAX_REASON])
        return Answer(response.status, reason, _seconds(response.getheader("Retry-After")))

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout_s, context=context)


@contextlib.contextmanager
def _time_limit(connection: socket.socket, seconds: float) -> Iterator[None]:
    """End what is read and written within the context after so many seconds: a server may send a byte at a time.

    Raises TimeoutError then.
    """
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        with contextlib.suppress(OSError):
            # Not that of a TLS socket, which another thread uses at this moment.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, ValueError, http.client.HTTPException):
        if not is_over.is_set():
            raise
    finally:
        timer.cancel()
    if is_over.is_set():  # Also of headers that ended there, which are no error to http.client.
        raise TimeoutError


def parse_target(
    url: str, headers: Mapping[str, str] = MappingProxyType({}), secret: str | None = None, timeout_s: float = 10.0
) -> Target:
    """Return the target of a URL; user and password become the header Authorization. Raises SettingError."""
    text = argument_text(url)
    try:
        parts = urlsplit(text)
        port = parts.port
        (parts.hostname or "").encode("idna")  # As it is looked up.
    except ValueError:  # Its message quotes a part of the URL.
        raise SettingError(f"--webhook {_shown(url)}: its host or port is malformed; {_EXPECTED}") from None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not parts.hostname or port == 0 or re.search(r"[\s<>\"]", parts.hostname):
        raise SettingError(f"--webhook {_shown(url)}: {_EXPECTED}")
    own = dict(headers)
    if parts.username is not None and not any(name.lower() == "authorization" for name in own):
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        own["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    path = quote(parts.path or "/", safe=_PATH_LETTERS)
    if parts.query:
        path += f"?{quote(parts.query, safe=_QUERY_LETTERS)}"
    port = port or (443 if scheme == "https" else 80)
    key = None if secret is None else secret.encode()
    return Target(scheme == "https", parts.hostname, port, path, MappingProxyType(own), key, timeout_s)


def read_headers(path: Path) -> dict[str, str]:
    """Return the headers of a file with a line ``Name: value`` for each; lines with # are comments.

    Logs a warning if other users can read it. Raises SettingError if it cannot be read, or a line is not a header.
    """
    option = f"--webhook-header-file {path}"
    text = read_secret_file(path, "--webhook-header-file")
    headers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, value = (part.strip() for part in line.partition(":"))
        # The value may be a secret, and is not shown.
        if not colon or not _HEADER_NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
            raise SettingError(f"{option}: line {number} is not a header in ASCII, such as Authorization: Bearer TOKEN")
        if name.lower() in _OWN_HEADERS:
            raise SettingError(f"{option}: line {number}: {name} is set by the program; leave it out")
        headers[name] = value
    return headers


def _shown(url: str) -> str:
    """Return what can be shown of an invalid URL: without its path, which may be a secret."""
    scheme, separator, rest = redact_url(url).partition("://")
    if not separator:
        return printable(scheme[:_MAX_REASON])
    return printable(f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}"[:_MAX_REASON])


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None without one, and for a date."""
    text = (retry_after or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None
