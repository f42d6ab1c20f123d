"""The webhook, against a real HTTP server that fails in every way."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from conftest import REPOSITORY
from event_factory import event
from mqtt_broker import require_programs

from device_apps.events.spool import Spool
from device_apps.events.webhook.publisher import WebhookPublisher
from device_apps.events.webhook.target import parse_target, read_headers
from device_apps.secret_file import read_secret
from edge_ssd.errors import SettingError

PAGE = REPOSITORY / "docs" / "events.md"

Reply = int | Callable[[BaseHTTPRequestHandler], None]


class Receiver(ThreadingHTTPServer):
    """Server that answers each request with the next of ``replies``, a status or a function, at last with 204."""

    daemon_threads = True

    def __init__(self, *replies: Reply, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.replies = list(replies)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.events: list[dict[str, Any]] = []  # Those that were taken.
        self.url = f"http{'' if context is None else 's'}://127.0.0.1:{self.server_port}/hook"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def numbers(self) -> list[int]:
        return [int(seen["id"].partition("-")[2]) for seen in self.events]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        reply = self.server.replies.pop(0) if self.server.replies else 204
        if not isinstance(reply, int):
            reply(self)
            return
        if reply < 300:
            self.server.events.append(json.loads(body))
        self.send_response(reply)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def hang(handler: BaseHTTPRequestHandler) -> None:
    handler.rfile.read(1)


def drop(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Send a header without end, a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    with suppress(OSError):
        while True:
            handler.wfile.write(b"x")
            time.sleep(0.02)


def answer_slowly(handler: BaseHTTPRequestHandler) -> None:
    """Accept the event, and send a content that never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    handler.rfile.read(1)


def speak_nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


@contextmanager
def publisher(url: str, folder: Path, **target: Any) -> Iterator[WebhookPublisher]:
    spool = Spool(folder / "spool", max_messages=100, max_bytes=10**6, option="--webhook-spool")
    publisher = WebhookPublisher(parse_target(url, timeout_s=0.3, **target), spool, retry_seconds=(0.01, 0.05))
    try:
        yield publisher
    finally:
        publisher.close(time.monotonic() + 10)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "webhook" in record.getMessage()]


def test_events_are_posted_as_their_json_signed_and_with_headers(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("# A comment\nX-Api-Key: abc: def\n\n")
    file = tmp_path / "secret"
    file.write_text("Geheimnis ü\n", encoding="utf-8")
    secret = read_secret(file, "--webhook-secret-file", "NONE", {}, "")
    with Receiver() as server:
        url = server.url.replace("://", "://me:pa%20ss@") + "/ä b?to=a%20b"
        headers = read_headers(tmp_path / "headers")
        with publisher(url, tmp_path, headers=headers, secret=secret) as sink:
            sink.publish(event(1, zone="Tür"))
            sink.publish(event(2, "leave", duration_s=1.5))
            wait_until(lambda: len(server.events) == 2)
        path, sent, body = server.requests[0]
    assert server.events == [event(1, zone="Tür").to_dict(), event(2, "leave", duration_s=1.5).to_dict()]
    assert path == "/hook/%C3%A4%20b?to=a%20b"
    assert (sent["Content-Type"], sent["X-Api-Key"]) == ("application/json", "abc: def")
    assert sent["Authorization"] == "Basic bWU6cGEgc3M="
    digest = hmac.new("Geheimnis ü".encode(), body, hashlib.sha256).hexdigest()
    assert sent["X-Hub-Signature-256"] == f"sha256={digest}"
    sample: dict[str, Any] = {}
    exec(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)[0], sample)
    assert sample["is_genuine"](file, body, sent["X-Hub-Signature-256"])
    assert not sample["is_genuine"](file, body + b" ", sent["X-Hub-Signature-256"])


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (500, "the server answers 500 Internal Server Error"),
        (429, "the server answers 429 Too Many Requests"),
        (404, "the server answers 404 Not Found; check the path of --webhook"),
        (302, "the server answers 302 Found; it redirects to another address, which --webhook must name itself"),
        (hang, "no answer in time"),
        (drip, "no answer in time"),
        (drop, "the connection was closed without an answer; does this port need https://?"),
        (speak_nonsense, "the answer is not HTTP; check the port"),
    ],
)
def test_failing_server_gets_every_event_later_and_in_order(
    reply: Reply, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Receiver(204, reply, reply) as server, publisher(server.url, tmp_path) as sink:
        for number in range(1, 6):
            sink.publish(event(number))
        wait_until(lambda: len(server.events) == 5)
    assert server.numbers() == [1, 2, 3, 4, 5]
    name = server.url.removesuffix("/hook")
    assert messages(caplog) == [
        f"webhook {name}: {reason}; detection goes on, events are kept, will retry",
        f"webhook {name}: events are taken again",
    ]
    assert (sink.lost, sink.failure) == (0, None)


def test_event_is_not_repeated_for_an_answer_whose_content_does_not_come(tmp_path: Path) -> None:
    with Receiver(answer_slowly) as server, publisher(server.url, tmp_path) as sink:
        sink.publish(event(1))
        sink.publish(event(2))
        wait_until(lambda: server.events)
        assert server.numbers() == [2]
        assert len(server.requests) == 2


def test_retry_after_is_respected(tmp_path: Path) -> None:
    def busy(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(503)
        handler.send_header("Retry-After", "1")
        handler.end_headers()

    with Receiver(busy) as server, publisher(server.url, tmp_path) as sink:
        start = time.monotonic()
        sink.publish(event(1))
        wait_until(lambda: server.events)
        assert time.monotonic() - start >= 1.0


def test_server_that_is_away_gets_the_events_of_the_run_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver() as server:
        port = server.server_port
    with publisher(server.url, tmp_path) as sink:
        for number in (1, 2, 3):
            sink.publish(event(number))
        wait_until(lambda: messages(caplog))
        sink.close(time.monotonic() + 1)
    assert messages(caplog)[0].startswith(f"webhook http://127.0.0.1:{port}: cannot be reached: Connection refused;")
    with Receiver() as again, publisher(again.url, tmp_path) as sink:
        sink.publish(event(4))
        wait_until(lambda: len(again.events) == 4)
    assert again.numbers() == [1, 2, 3, 4]


def test_event_that_a_working_server_refuses_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(204, 422) as server, publisher(server.url, tmp_path) as sink:
        for number in (1, 2, 3):
            sink.publish(event(number))
        wait_until(lambda: len(server.events) == 2)
    assert server.numbers() == [1, 3]
    (line,) = messages(caplog)
    assert "1 message cannot be sent (webhook http://127.0.0.1:" in line
    assert "the server answers 422 Unprocessable" in line


def test_server_that_refuses_every_event_has_them_when_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(400, 400, 400) as server, publisher(server.url, tmp_path) as sink:
        sink.publish(event(1))
        wait_until(lambda: server.events)
    assert [line.partition("; ")[0] for line in messages(caplog)] == [
        f"webhook {server.url.removesuffix('/hook')}: the server answers 400 Bad Request"
    ]


def test_hanging_server_does_not_delay_the_end(tmp_path: Path) -> None:
    with Receiver(*[hang] * 9) as server:
        with publisher(server.url, tmp_path) as sink:
            sink.publish(event(1))
            wait_until(lambda: server.requests)
            start = time.monotonic()
            sink.close(start + 0.1)
            assert time.monotonic() - start < 0.25
        wait_until(lambda: not sink._thread.is_alive())


def test_unknown_certificate_is_refused_and_trusted_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    require_programs("openssl")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "own.pem"]
    name = ["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *key, *name], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem", tmp_path / "key.pem")
    with Receiver(context=context) as server, publisher(server.url, tmp_path) as sink:
        sink.publish(event(1))
        wait_until(lambda: messages(caplog))
        (line,) = messages(caplog)
        assert "its certificate is not trusted: self-signed certificate; set the environment" in line
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
        wait_until(lambda: server.events)


@pytest.mark.parametrize(
    "content", ["Authorization", "A b: s3cret", "X: s3cret\u00fc", "Content-Length: s3cret", "X: s3cret\x00"]
)
def test_invalid_header_file_is_one_line_without_its_secret(content: str, tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text(f"\n{content}\n", encoding="utf-8")
    with pytest.raises(SettingError, match="line 2") as error:
        read_headers(path)
    assert "s3cret" not in str(error.value)


def test_secret_is_that_of_the_file_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch(0o600)
    for data, secret in (
        (b"\xef\xbb\xbfabc\r\n", "abc"),
        (b"x" * 9999, "x" * 9999),
    ):  # A byte order mark is none of it.
        path.write_bytes(data)
        assert read_secret(path, "--webhook-secret-file", "VARIABLE", {}, "head") == secret
    path.write_bytes(b"x" * 65537)
    with pytest.raises(SettingError, match="is longer than 65536 bytes; make one with head"):
        read_secret(path, "--webhook-secret-file", "VARIABLE", {}, "head")
