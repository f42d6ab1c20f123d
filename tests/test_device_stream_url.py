"""Diagnosis of stream URLs."""

from __future__ import annotations

import socket
import threading

import pytest
from stream_servers import MjpegServer, RtspServer

from device_apps.sources.stream_url import diagnose_stream


@pytest.mark.parametrize("kind", [MjpegServer, RtspServer])
def test_diagnosis_distinguishes_wrong_path_and_wrong_password(kind: type[MjpegServer]) -> None:
    with kind(password="right") as server:
        refused = diagnose_stream(server.url.replace("//", "//user:wrong@"))
        assert refused == (
            f"the server responds 401 Unauthorized; check user and password ({server.scheme}://USER:PASSWORD@…)"
        )
    with kind() as server:
        missing = diagnose_stream(server.url.replace("/stream", "/nothing"))
        assert missing.startswith("the server responds 404 Not Found; check the path")
        assert diagnose_stream(server.url).startswith("the server responds, but sends no video")


def test_diagnosis_of_a_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert diagnose_stream(f"http://127.0.0.1:{port}/x") == (
        f"no response from 127.0.0.1:{port} (Connection refused); check the address and that the camera is on"
    )


def test_diagnosis_of_a_silent_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        assert diagnose_stream(url, timeout=0.2).startswith("the server accepts the connection, but sends no video")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0\xff" * 200])
def test_diagnosis_of_another_protocol(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x y"
        assert diagnose_stream(url).startswith("the server accepts the connection, but sends no video")
        thread.join(5)


@pytest.mark.parametrize("url", ["rtsp://user:pa/ss@cam/x", "http://127.0.0.1:99999/x", "rtsp://[::1/x"])
def test_diagnosis_of_a_malformed_url(url: str) -> None:
    reason = diagnose_stream(url)
    assert reason.startswith("invalid URL: its host or port is malformed")
    assert "pa/ss" not in reason


@pytest.mark.parametrize("url", ["http:///x", "rtsp://", "foo://127.0.0.1/x"])
def test_diagnosis_of_a_url_without_host_or_known_scheme(url: str) -> None:
    assert diagnose_stream(url) == "OpenCV cannot open this URL; give http://, https:// or rtsp:// with a host"
