"""Client of the web preview for tests: requests, MJPEG parts and server-sent events."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import re
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

DEADLINE_S = 30.0
SECRET = "correct-horse-battery-staple"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """Send one request and return the response; underscores in the names of headers become hyphens."""
    with open_stream(port, path, method, body, **headers) as response:
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def send_raw(port: int, data: bytes) -> bytes:
    """Send bytes and return everything received until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as connection:
        connection.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while received := connection.recv(65536):
                answer += received
        return answer


@contextlib.contextmanager
def open_stream(
    port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> Iterator[http.client.HTTPResponse]:
    """Yield the response to a request, to read its body as it comes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        with connection.getresponse() as response:
            yield response
    finally:
        connection.close()


def mjpeg_images(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the JPEGs of a multipart/x-mixed-replace body (RFC 2046 §5.1)."""
    boundary = response.headers.get_param("boundary")
    assert response.readline() == f"--{boundary}\r\n".encode()
    while True:
        headers = http.client.parse_headers(response)
        assert headers["Content-Type"] == "image/jpeg"
        jpeg = response.read(int(headers["Content-Length"]))
        # The next boundary follows immediately; without it browsers would lag by one frame.
        assert response.readline() + response.readline() == f"\r\n--{boundary}\r\n".encode()
        yield jpeg


def server_sent_events(response: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    """Yield (kind, data) of each server-sent event."""
    kind = ""
    while line := response.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)


def live_messages(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """Yield the messages of ``/live``, each with its JPEG as "jpeg"."""
    while lengths := response.read(8):
        head, size = struct.unpack(">II", lengths)
        yield {**json.loads(response.read(head)), "jpeg": response.read(size)}


def decode_jpeg(jpeg: bytes) -> np.ndarray:
    """Decode a JPEG to uint8 RGB [H, W, 3]."""
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return np.asarray(image.convert("RGB"))


def write_token(folder: Path, content: bytes = SECRET.encode()) -> Path:
    """Write a token file that only its owner can read, and return its path."""
    path = folder / "web.token"
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def preview_port(process: subprocess.Popen[str]) -> int:
    """Return the port that ``edge-ssd camera --web`` names on standard error, once it does."""
    for line in process.stderr or ():
        if match := re.fullmatch(r"edge-ssd: web preview at http://127\.0\.0\.1:(\d+)/\n", line):
            return int(match[1])
    pytest.fail("no preview")
