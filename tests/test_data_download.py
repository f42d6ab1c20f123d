"""edge_ssd.data.download against an HTTP server on the loopback interface that fails in chosen ways."""

from __future__ import annotations

import hashlib
import io
import random
import re
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edge_ssd.data.download.bananas import fetch_bananas
from edge_ssd.data.download.http import download
from edge_ssd.data.download.limits import DownloadLimits, TooSlowError
from edge_ssd.data.download.unpack import unpack_zip
from edge_ssd.errors import DataError


def zip_of(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive_file:
        for name, content in files.items():
            archive_file.writestr(name, content)
    return buffer.getvalue()


def archive(extra: Mapping[str, bytes] | None = None) -> bytes:
    files: dict[str, bytes] = {}
    for split in ("bananas_train", "bananas_val"):
        files[f"banana-detection/{split}/label.csv"] = b"img_name,label,xmin,ymin,xmax,ymax\n"
        files[f"banana-detection/{split}/images/0.png"] = random.Random(split).randbytes(200_000)
    return zip_of({**files, **(extra or {})})


def send_head(handler: BaseHTTPRequestHandler, status: int, headers: Mapping[str, object]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, str(value))
    handler.end_headers()


class Server:
    """HTTP server of ``payload``.

    Attributes:
        requests: the Range headers received, in order; None for a request without one.
        drop_after: number of bytes of the body after which each of the next requests is dropped.
    """

    def __init__(self) -> None:
        self.payload = archive()
        self.supports_range = True
        self.wrong_range = False
        self.drop_after: list[int] = []
        self.status: int | None = None
        self.location = ""
        self.requests: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/banana-detection.zip"

    @property
    def sha1(self) -> str:
        return hashlib.sha1(self.payload).hexdigest()

    def fetch(self, folder: Path, **options: Any) -> bool:
        return fetch_bananas(folder, self.url, **{"sha1": self.sha1, "retry_delay": 0, **options})

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        requested = handler.headers.get("Range")
        self.requests.append(requested)
        if self.location and handler.path != "/moved":
            send_head(handler, 302, {"Location": self.location, "Content-Length": 0})
            return
        if self.status is not None:
            handler.send_error(self.status)
            return
        start, status, size = 0, 200, len(self.payload)
        headers: dict[str, object] = {}
        match = re.fullmatch(r"bytes=(\d+)-", requested or "")
        if match and self.supports_range:
            start = int(match[1])
            if start >= size:
                send_head(handler, 416, {"Content-Range": f"bytes */{size}", "Content-Length": 0})
                return
            stated = 0 if self.wrong_range else start
            status, headers = 206, {"Content-Range": f"bytes {stated}-{size - 1}/{size}"}
        body = self.payload[start:]
        send_head(handler, status, {**headers, "Content-Length": len(body)})
        if self.drop_after:
            handler.wfile.write(body[: self.drop_after.pop(0)])
            handler.wfile.flush()
            handler.close_connection = True
            return
        handler.wfile.write(body)

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    instance = Server()
    yield instance
    instance.close()


def assert_complete(folder: Path) -> None:
    for split in ("bananas_train", "bananas_val"):
        assert (folder / split / "label.csv").is_file()
        assert (folder / split / "images" / "0.png").read_bytes() == random.Random(split).randbytes(200_000)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "unexpected files remain"


def assert_empty(folder: Path) -> None:
    assert list(folder.parent.iterdir()) == []


def test_download_is_complete_and_reports_progress(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    assert server.fetch(tmp_path / "b", progress=lambda done, total: seen.append((done, total)))
    assert_complete(tmp_path / "b")
    assert server.requests == [None]
    size = len(server.payload)
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_existing_dataset_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    server.fetch(tmp_path / "b")
    assert not server.fetch(tmp_path / "b")
    assert len(server.requests) == 1


def test_folder_with_other_content_is_unchanged(server: Server, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="is not an empty folder"):
        server.fetch(tmp_path / "b")
    assert server.requests == []
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["notes.txt"]


def test_empty_folder_is_filled(server: Server, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    server.fetch(tmp_path / "b")
    assert_complete(tmp_path / "b")


@pytest.mark.parametrize(
    ("server_settings", "requests"),
    [
        ({"drop_after": [100_000, 50_000]}, [None, "bytes=100000-", "bytes=150000-"]),
        ({"drop_after": [100_000], "supports_range": False}, [None, "bytes=100000-"]),  # sends it from the start
        ({"drop_after": [100_000], "wrong_range": True}, [None, "bytes=100000-", None]),  # is asked for it anew
    ],
)
def test_dropped_connection_is_resumed(
    server: Server, tmp_path: Path, server_settings: dict[str, Any], requests: list[str | None]
) -> None:
    vars(server).update(server_settings)
    seen: list[tuple[int, int | None]] = []
    server.fetch(tmp_path / "b", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(server.payload), len(server.payload))
    assert_complete(tmp_path / "b")
    assert server.requests == requests


def test_interrupted_download_continues_in_the_next_call(server: Server, tmp_path: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.fetch(tmp_path / "b", progress=interrupt)
    assert not (tmp_path / "b").exists()
    kept = (tmp_path / "b.zip.part").stat().st_size
    assert kept > 100_000
    server.fetch(tmp_path / "b")
    assert_complete(tmp_path / "b")
    assert server.requests == [None, f"bytes={kept}-"]


def test_repeated_drops_fail_and_keep_the_part(server: Server, tmp_path: Path) -> None:
    server.drop_after = [70_000] + [0] * 50
    with pytest.raises(DataError, match=r"ended after 70000 of .*70000 bytes are kept, run the command again"):
        server.fetch(tmp_path / "b")
    assert (tmp_path / "b.zip.part").read_bytes() == server.payload[:70_000]
    assert len(server.requests) < 10


@pytest.mark.parametrize("more", [b"", b"more"])
def test_complete_part_is_unpacked_and_a_longer_one_is_discarded(server: Server, tmp_path: Path, more: bytes) -> None:
    (tmp_path / "b.zip.part").write_bytes(server.payload + more)
    server.fetch(tmp_path / "b")
    assert_complete(tmp_path / "b")
    assert server.requests == [f"bytes={len(server.payload + more)}-", *([None] if more else [])]


def test_part_of_another_file_fails_the_checksum_and_is_removed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "b.zip.part").write_bytes(b"x" * 1000)
    with pytest.raises(DataError, match="SHA-1"):
        server.fetch(tmp_path / "b")
    assert_empty(tmp_path / "b")
    server.fetch(tmp_path / "b")
    assert_complete(tmp_path / "b")


def test_wrong_checksum_leaves_no_files(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has SHA-1 {server.sha1}, expected {'0' * 40}") as caught:
        server.fetch(tmp_path / "b", sha1="0" * 40)
    assert server.url in str(caught.value)
    assert_empty(tmp_path / "b")


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:evil.txt"])
def test_entry_paths_outside_the_folder_are_refused(server: Server, tmp_path: Path, name: str) -> None:
    server.payload = archive({name: b"evil"})
    with pytest.raises(DataError, match="is outside the folder"):
        server.fetch(tmp_path / "in" / "b")
    assert_empty(tmp_path / "in" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_symlink_entries_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        link = zipfile.ZipInfo("data/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, "/etc")
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="link or device"):
        unpack_zip(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_unpack_limits_entries_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zip_of({f"data/{number}": bytes(1000) for number in range(4)}, zipfile.ZIP_DEFLATED))
    for bounds in ({"max_bytes": 3999}, {"max_entries": 3}):
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(DataError, match="more than"):
            unpack_zip(path, tmp_path / "out", **bounds)
        assert list((tmp_path / "out").iterdir()) == []
    unpack_zip(path, tmp_path / "out", max_bytes=4000, max_entries=4)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["0", "1", "2", "3"]


def test_unpack_strips_a_single_top_folder(tmp_path: Path) -> None:
    for number, names in enumerate((["a/x", "a/y/z"], ["a/x", "b"], ["a"])):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(zip_of(dict.fromkeys(names, b"text")))
        (tmp_path / str(number)).mkdir()
        unpack_zip(path, tmp_path / str(number))
    unpacked = [
        sorted(p.relative_to(tmp_path / str(n)).as_posix() for p in (tmp_path / str(n)).rglob("*") if p.is_file())
        for n in range(3)
    ]
    assert unpacked == [["x", "y/z"], ["a/x", "b"], ["a"]]


def damaged_archive() -> bytes:
    content = bytearray(archive())
    content[100_000] ^= 0xFF
    return bytes(content)


@pytest.mark.parametrize(
    ("server_settings", "match"),
    [
        ({"payload": b"<html>log in to continue</html>"}, "not a ZIP archive"),
        ({"payload": damaged_archive()}, "CRC"),
        ({"payload": zip_of({"data/readme.txt": b"other content"})}, r"no bananas_train/label\.csv"),
        *(({"status": status}, f"the server answered {status}") for status in (403, 404, 500, 503)),
    ],
)
def test_failed_download_leaves_no_files(
    server: Server, tmp_path: Path, server_settings: dict[str, Any], match: str
) -> None:
    vars(server).update(server_settings)
    with pytest.raises(DataError, match=match):
        server.fetch(tmp_path / "b")
    assert_empty(tmp_path / "b")


def test_refused_connection_is_reported_with_an_alternative(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        # Bound but not listening: connections are refused.
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x.zip"
        with pytest.raises(DataError, match=r"the download failed .*edge-ssd data make"):
            fetch_bananas(tmp_path / "b", url)
    assert_empty(tmp_path / "b")


def test_silent_server_times_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.zip"
        with pytest.raises(DataError, match="timed out"):
            fetch_bananas(tmp_path / "b", url, timeout=0.1, retry_delay=0)
    assert_empty(tmp_path / "b")


def test_redirects_are_followed_to_http_only(server: Server, tmp_path: Path) -> None:
    server.location = server.url.replace("banana-detection.zip", "moved")
    server.fetch(tmp_path / "b")
    assert_complete(tmp_path / "b")
    for location in ("ftp://127.0.0.1/x.zip", "file:///etc/passwd"):
        server.location = location
        with pytest.raises(DataError, match=r"refused|302"):
            server.fetch(tmp_path / "c" / "c")
        assert_empty(tmp_path / "c" / "c")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x.zip", "banana-detection.zip"])
def test_urls_of_other_schemes_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match="only http and https"):
        fetch_bananas(tmp_path / "b", url)
    assert_empty(tmp_path / "b")


@contextmanager
def raw_server(send: Callable[[socket.socket], None]) -> Iterator[str]:
    """Yield the URL of a server that answers each connection with ``send``."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    try:
                        connection.recv(10_000)
                        send(connection)
                    except OSError:
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/x?token=secret"
        finally:
            ended.set()
            thread.join()


def one_line_error(url: str, part: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        download(url, part, retry_delay=0, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert "secret" not in text
    return text


@pytest.mark.parametrize(
    "length",
    ["²", "-1", "+5", "１２", "1_000", "5 5", "5, 6", "0x10", "", "9" * 30, "9" * 5000, "5\r\nContent-Length: 6"],
)
def test_invalid_content_length_is_reported(tmp_path: Path, length: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello"
    with raw_server(lambda connection: connection.sendall(head.encode("utf-8"))) as url:
        text = one_line_error(url, tmp_path / "part")
    assert "the server states an invalid size (Content-Length: " in text
    assert "check the address" in text
    assert len(text) < 300
    assert list(tmp_path.iterdir()) == []


def test_equal_content_lengths_are_one(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"
    with raw_server(lambda connection: connection.sendall(head)) as url:
        download(url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == b"hello"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://host:port/\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 300 + b"/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 \xb2\xb2 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
    ],
)
def test_malformed_answer_is_reported_in_one_line(tmp_path: Path, answer: bytes) -> None:
    with raw_server(lambda connection: connection.sendall(answer)) as url:
        one_line_error(url, tmp_path / "part")


@pytest.mark.parametrize("url", ["http://[", "http://h:port/x", "file:///etc/passwd", "ftp://h/x", "//h/x", ""])
def test_malformed_address_is_reported(tmp_path: Path, url: str) -> None:
    one_line_error(url, tmp_path / "part")


def drip(connection: socket.socket, data: bytes) -> None:
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(0.01)


@pytest.mark.parametrize("head", ["", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])
def test_slow_server_is_left(tmp_path: Path, head: str) -> None:
    """One byte at a time: in the status line, in a header or in the body."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head.encode())
        drip(connection, (b"" if head else b"HTTP/1.1 200 ") + b"x" * 1000)

    limits = DownloadLimits(min_bytes_per_s=1000, window=0.3, max_seconds=60, timeout=5)
    start = time.monotonic()
    with raw_server(send) as url:
        text = one_line_error(url, tmp_path / "part", limits=limits)
        assert time.monotonic() - start < 5
    assert "(less than 1 kB/s for 0 s)" in text
    if "Content-Length" in head:
        size = (tmp_path / "part").stat().st_size
        assert size > 0
        assert f"; {size} bytes are kept, run the command again to continue" in text


def test_total_time_is_limited(tmp_path: Path) -> None:
    """The server is fast enough, and never ends; or it stalls."""

    def send(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        drip(connection, b"x" * 1000)

    for seconds in (0.5, 0.0):
        limits = DownloadLimits(min_bytes_per_s=1, window=0.1, max_seconds=seconds, timeout=5)
        start = time.monotonic()
        with raw_server(send) as url:
            text = one_line_error(url, tmp_path / "part", limits=limits)
            assert time.monotonic() - start < 4
        assert f"(not complete after {seconds:g} s)" in text


def test_limits_measure_the_speed_over_windows() -> None:
    now = 0.0
    limits = DownloadLimits(min_bytes_per_s=1000, window=30, max_seconds=100, timeout=10, clock=lambda: now)
    for _ in range(60):
        limits.add(2000, 1.0)
    limits.add(29_000, 29.0)
    limits.add(1001, 1.0)
    limits.add(0, 29.0)
    with pytest.raises(TooSlowError, match="less than 1 kB/s for 30 s"):
        limits.add(999, 1.0)
    assert limits.next_timeout() == 10
    now = 95.0
    assert limits.next_timeout() == 5
    now = 101.0
    with pytest.raises(TooSlowError, match="not complete after 100 s"):
        limits.next_timeout()


def test_secret_of_an_address_is_not_shown(tmp_path: Path) -> None:
    for url in ("ftp://user:secret@h/x", "http://user:secret@127.0.0.1:1/x"):
        one_line_error(url, tmp_path / "part")
