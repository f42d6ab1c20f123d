"""HTTP servers that answer like cameras of many kinds, on loopback."""

from __future__ import annotations

import hashlib
import http.server
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Answer", "digest_challenge", "digest_is_right", "http_camera"]

Answer = Callable[["Request"], None]


class Request(http.server.BaseHTTPRequestHandler):
    """One request; ``respond`` and ``stream`` answer it."""

    protocol_version = "HTTP/1.1"
    answer: Answer
    paths: list[str]
    clients: set[Any]

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.clients.add(self.client_address)
        try:
            type(self).answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def respond(self, content: bytes, kind: str = "image/jpeg", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def stream(self, kind: str | None, parts: Iterator[bytes], *, chunked: bool = False) -> None:
        """Send the parts without a length, then close the connection."""
        self.send_response(200)
        if kind is not None:
            self.send_header("Content-Type", kind)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def http_camera(answer: Answer, certificate: ssl.SSLContext | None = None) -> Iterator[Any]:
    """Serve ``answer`` at ``url``; the server has ``paths``, those requested, and ``clients``, the connections."""
    handler = type("Handler", (Request,), {"answer": staticmethod(answer), "paths": [], "clients": set()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if certificate is not None:
            server.socket = certificate.wrap_socket(server.socket, server_side=True)
        server.paths, server.clients = handler.paths, handler.clients  # type: ignore[attr-defined]
        server.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}/"  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def digest_challenge(algorithm: str, qop: str, nonce: str, extra: str = "") -> str:
    algorithm = f", algorithm={algorithm}" if algorithm else ""
    return f'Digest realm="a camera, with \\"quotes\\"", nonce="{nonce}"{qop and f", qop={qop}"}{algorithm}{extra}'


def digest_is_right(request: Request, user: str, password: str, nonce: str) -> bool:
    """Return whether the Digest of a request is right (RFC 7616 §3.4)."""
    header = request.headers.get("Authorization", "")
    found = {
        name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))', header)
    }
    if not header.startswith("Digest ") or found["nonce"] != nonce or found["uri"] != request.path:
        return False
    method = hashlib.sha256 if found.get("algorithm", "").startswith("SHA-256") else hashlib.md5

    def digest(*parts: str) -> str:
        return method(":".join(parts).encode()).hexdigest()

    secret = digest(user, found["realm"].replace('\\"', '"'), password)
    if found.get("algorithm", "").endswith("-sess"):
        secret = digest(secret, nonce, found["cnonce"])
    middle = [found["nc"], found["cnonce"], found["qop"]] if "qop" in found else []
    return found["response"] == digest(secret, nonce, *middle, digest("GET", request.path))
