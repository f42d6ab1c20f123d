"""HTTP requests to cameras: logins, redirects, certificates, kept connections and errors."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from http_cameras import Request, digest_challenge, digest_is_right, http_camera

from device_apps.sources.http_client import HttpClient, NotHttpError
from device_apps.sources.http_login import HttpLogin
from edge_ssd.errors import SourceError


def fetch(url: str, **options: float) -> bytes:
    """Return the content at a URL."""
    client = HttpClient(url, **{"connect_seconds": 5.0, "read_seconds": 5.0, **options})
    try:
        client.get()
        content = b""
        while data := client.read(1000):
            content += data
        return content
    finally:
        client.close()


def with_login(url: str, login: str) -> str:
    return url.replace("//", f"//{login}@")


@pytest.mark.parametrize("qop", ["", "auth", '"auth,auth-int"'])
@pytest.mark.parametrize("algorithm", ["", "MD5", "MD5-sess", "SHA-256"])
def test_digest_login(algorithm: str, qop: str) -> None:
    def answer(request: Request) -> None:
        if digest_is_right(request, "me", 'a "ä":b', "n1"):
            request.respond(b"image")
        else:
            request.respond(b"login!", status=401, WWW_Authenticate=digest_challenge(algorithm, qop, "n1"))

    with http_camera(answer) as server:
        url = server.url + "stream?channel=1&size=640x480"
        assert fetch(with_login(url, "me:a%20%22%C3%A4%22%3Ab")) == b"image"
        assert (len(server.paths), len(server.clients)) == (2, 1)
        with pytest.raises(SourceError, match="401 Unauthorized; check user and password"):
            fetch(with_login(url, "me:wrong"))
        with pytest.raises(SourceError, match="401 Unauthorized; check user and password"):
            fetch(url)
        assert len(server.paths) == 2 + 2 + 1


def test_old_nonce_is_replaced() -> None:
    nonces = ["n1", "n2", "n3"]

    def answer(request: Request) -> None:
        if digest_is_right(request, "me", "pw", nonces[0]):
            request.respond(b"image")
        else:
            request.respond(b"", status=401, WWW_Authenticate=digest_challenge("", "auth", nonces[0], ", stale=true"))

    with http_camera(answer) as server:
        client = HttpClient(with_login(server.url, "me:pw"), connect_seconds=5, read_seconds=5)
        for _ in range(2):
            client.get()
            while client.read(1000):
                pass
            del nonces[0]
        client.close()
        assert len(server.paths) == 4


def test_digest_is_preferred_and_unknown_schemes_are_ignored() -> None:
    login = HttpLogin("me", "pw")
    assert login.authorization("GET", "/") is None
    assert login.challenge(['Negotiate, Basic realm="a", Digest realm="b", nonce="c", algorithm=MD5'])
    authorization = login.authorization("GET", "/")
    assert authorization is not None
    assert authorization.startswith('Digest username="me", realm="b", nonce="c"')
    assert not HttpLogin("me", "pw").challenge(['Bearer realm="a"', 'Digest realm="b", nonce="c", algorithm=SHA-512'])


def test_basic_login() -> None:
    def answer(request: Request) -> None:
        if request.headers.get("Authorization") == "Basic bWU6cHc=":
            request.respond(b"image")
        else:
            request.respond(b"", status=401, WWW_Authenticate='Basic realm="camera"')

    with http_camera(answer) as server:
        assert fetch(with_login(server.url, "me:pw")) == b"image"
        with pytest.raises(SourceError, match="401"):
            fetch(with_login(server.url, "me:other"))


def test_redirects_are_followed_a_few_times_and_no_other_host_gets_the_password() -> None:
    seen = []

    def final(request: Request) -> None:
        seen.append(request.headers.get("Authorization"))
        if request.path == "/there" or request.headers.get("Authorization"):
            request.respond(b"image")
        else:
            request.respond(b"", status=401, WWW_Authenticate='Basic realm="camera"')

    def answer(request: Request) -> None:
        target = {
            "/": "/a",
            "/p": "http://h:99999/?pin=123",
            "/v": "http://[::1",
            "/a": f"http://localhost:{other.server_port}{path}",
            "/loop": "/loop",
            "/r": "rtsp://h/x",
        }
        request.respond(b"moved", status=302, Location=target[request.path])

    with http_camera(final) as other, http_camera(answer) as server:
        path = "/there"
        assert fetch(server.url) == b"image"
        path = "/login"
        with pytest.raises(SourceError, match="401"):
            fetch(with_login(server.url, "me:pw"))
        with pytest.raises(SourceError, match="redirects more than 5 times"):
            fetch(server.url + "loop")
        with pytest.raises(SourceError, match="redirects to rtsp://h/x; give this URL"):
            fetch(server.url + "r")
        for path in ("p", "v"):
            with pytest.raises(SourceError, match="the server redirects to an invalid URL") as caught:
                fetch(server.url + path)
            assert "123" not in str(caught.value)
    assert seen == [None, None]


def test_connection_is_kept_and_renewed_when_the_server_closed_it() -> None:
    def answer(request: Request) -> None:
        request.respond(b"image" * 1000)
        if request.path == "/?3":
            request.close_connection = True

    with http_camera(answer) as server:
        client = HttpClient(server.url, connect_seconds=5, read_seconds=5)
        for number in range(6):
            client.url = f"{server.url}?{number}"
            client.get()
            while client.read(100_000):
                pass
        client.close()
        assert len(server.paths) == 6
        assert len(server.clients) == 2


def test_self_signed_certificate_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = [str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=camera"]
    try:
        subprocess.run([*command, "-keyout", files[0], "-out", files[1]], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    caplog.set_level(logging.INFO, "device_apps")
    with http_camera(lambda request: request.respond(b"image"), context) as server:
        assert fetch(server.url) == b"image"
        assert fetch(server.url) == b"image"
    (message,) = caplog.messages
    assert "its certificate cannot be verified (self" in message


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        (b"", SourceError, "accepts the connection, but sends no video"),
        (None, SourceError, "accepts the connection, but sends no video"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", NotHttpError, "does not respond in HTTP"),
        (b"HTTP/1.1 503 Too many\x1b[31m clients\r\n\r\n", SourceError, "responds 503 Too many.31m clients: it has"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", SourceError, "sends no video .nothing for 0.3 s"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", SourceError, "the connection broke"),
    ],
)
def test_odd_answers_are_one_line(answer: bytes | None, error: type[SourceError], match: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve() -> None:
            for _ in range(1):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer or b"")
                    if answer != b"":
                        done.wait(20)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(error, match=match) as caught:
            fetch(f"http://me:secret@127.0.0.1:{listener.getsockname()[1]}/", connect_seconds=0.5, read_seconds=0.3)
        done.set()
        thread.join(20)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/x", "http:///x", f"http://{'a' * 80}.de/", "http://[::1/"])
def test_invalid_url_is_one_line(url: str) -> None:
    with pytest.raises(SourceError, match="invalid URL: its host or port is malformed"):
        fetch(url)


def test_closed_port_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SourceError, match=rf"no response from 127.0.0.1:{port} \(Connection refused\)"):
        fetch(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("status", "match"),
    [
        (400, "check the path of the URL, and whether this port needs https://"),
        (403, "check the path, user and password"),
        (503, ": it has a fault or too many viewers"),
        (204, ", without an image; check the path"),
    ],
)
def test_each_status_has_its_own_advice(status: int, match: str) -> None:
    with (
        http_camera(lambda request: request.respond(b"", status=status)) as server,
        pytest.raises(SourceError, match=match),
    ):
        fetch(server.url)


@pytest.mark.parametrize("challenge", ['Bearer realm="camera"', 'Digest realm="c", nonce="n", algorithm=SHA-512-256'])
def test_unknown_login_is_named(challenge: str) -> None:
    kind = challenge.split()[0]
    with http_camera(lambda request: request.respond(b"", status=401, WWW_Authenticate=challenge)) as server:
        with pytest.raises(SourceError, match=rf"401 .*; it asks for a login \({kind}\) other than Basic"):
            fetch(with_login(server.url, "me:secret"))
        with pytest.raises(SourceError, match="check user and password"):
            fetch(server.url)


def test_redirect_to_a_host_that_gets_no_password_is_named() -> None:
    def answer(request: Request) -> None:
        if request.path == "/login":
            request.respond(b"", status=401, WWW_Authenticate='Basic realm="camera"')
        else:
            port = request.server.server_address[1]
            request.respond(b"", status=302, Location=f"http://localhost:{port}/login")

    named = r"it redirected to http://localhost:\d+, which is not sent the password"
    with http_camera(answer) as server, pytest.raises(SourceError, match=named) as caught:
        fetch(with_login(server.url, "me:secret"))
    assert "secret" not in str(caught.value)


def test_https_on_a_port_without_tls_is_named() -> None:
    with (
        http_camera(lambda request: request.respond(b"image")) as server,
        pytest.raises(SourceError, match="answers without TLS; write http://"),
    ):
        fetch(server.url.replace("http://", "https://"))
