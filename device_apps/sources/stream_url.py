"""Diagnosis of streams that cannot be opened."""

from __future__ import annotations

import contextlib
import socket
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

__all__ = ["INVALID_URL", "describe_status", "diagnose_stream", "no_response"]

INVALID_URL = (
    "invalid URL: its host or port is malformed; give http://, https:// or rtsp:// with a host, "
    "and write / ? # @ in a password as %2F %3F %23 %40"
)

_DEFAULT_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935}


def diagnose_stream(url: str, timeout: float = 3.0) -> str:
    """Return why a stream cannot be opened, from one HTTP or RTSP request without user and password.

    ``timeout`` is in seconds, for the connection and again for the response.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme.lower())
    except ValueError:
        return INVALID_URL
    if not parts.hostname or port is None:
        return "OpenCV cannot open this URL; give http://, https:// or rtsp:// with a host"
    try:
        status = _request_status(parts, parts.hostname, port, timeout)
    except OSError as error:
        return no_response(parts.hostname, port, str(error.strerror or error))
    if status is not None and status.startswith("200"):
        return "the server responds, but sends no video; check the path, user and password of the URL"
    return describe_status(status, parts.scheme)


def no_response(host: str, port: int, reason: str) -> str:
    """Return the text for a server that cannot be connected to."""
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER_FAILURE" in reason:
        return f"{host}:{port} answers without TLS; write http:// (or rtsp://) in the URL, or give the port for TLS"
    return f"no response from {host}:{port} ({reason}); check the address and that the camera is on"


def describe_status(status: str | None, scheme: str) -> str:
    """Return the text for a status other than 200, such as "404 Not Found"; None: no response to the request."""
    if status is None:
        return "the server accepts the connection, but sends no video; is it a camera, and has it too many viewers?"
    if status.startswith("401"):
        return f"the server responds {status}; check user and password ({scheme}://USER:PASSWORD@…)"
    if status.startswith("400"):
        return f"the server responds {status}; check the path of the URL, and whether this port needs https://"
    if status.startswith(("429", "5")):
        return f"the server responds {status}: it has a fault or too many viewers; try again, or restart the camera"
    if status.startswith(("2", "3")):
        return f"the server responds {status}, without an image; check the path of the URL"
    return f"the server responds {status}; check the path, user and password of the URL"


def _request_status(parts: SplitResult, host: str, port: int, timeout: float) -> str | None:
    """Return the status of the response, such as "404 Not Found", or None without a valid one. Raises OSError."""
    scheme = parts.scheme.lower()
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    target = quote(urlunsplit(("", "", parts.path or "/", parts.query, "")), safe="/?&=%+,;:@!$'()*~")
    requests = {
        "http": f"GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n",
        "rtsp": f"DESCRIBE rtsp://{address}{target} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n",
    }
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection((host, port), timeout))
        if scheme in ("https", "rtsps"):
            import ssl  # One megabyte, used only for this diagnosis.

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # Cameras have self-signed certificates, and no secret is sent.
            connection = stack.enter_context(context.wrap_socket(connection, server_hostname=host))
        try:
            connection.sendall(requests.get(scheme.rstrip("s"), "").encode())
            response = connection.recv(200).decode("latin-1")
        except TimeoutError:
            return None
    protocol, _, status = response.partition("\r\n")[0].partition(" ")
    if not protocol.startswith(("HTTP/", "RTSP/")):
        return None
    return "".join(letter for letter in status if letter.isprintable())
