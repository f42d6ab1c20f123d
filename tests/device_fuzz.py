"""Damages what cameras send and what browsers ask: python tests/device_fuzz.py [responses] [seed] [kind …]

Kinds: ``jpeg`` (images of a stream), ``camera`` (responses of a camera over HTTP: MJPEG, images, HLS playlists,
logins), ``web`` (requests to the web preview). Prints one line of JSON for each. A camera's response gives frames or a
SourceError; the preview answers every request below status 500, and goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Collection, Iterator
from typing import NoReturn
from unittest import mock

import numpy as np
from clocks import wait_until
from fuzzing import damaged_copy, peak_megabytes
from stream_servers import jpeg_frame
from web_camera import Camera, LoopedFrames, RecentEvents, clip_frames
from web_client import request

from device_apps.sources import hls, http_camera
from device_apps.sources.jpeg_frame import decode_frame
from device_apps.sources.jpeg_splitter import JpegSplitter
from device_apps.sources.timeouts import CaptureTimeouts
from device_apps.web.limits import WebLimits
from edge_ssd.errors import SourceError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.pixel_limit import MAX_MEGAPIXELS_VARIABLE

_JPEGS = [jpeg_frame(number) for number in range(3)]
_PARTS = [b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg) for jpeg in _JPEGS]
_PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n#EXTINF:2.0,\n7.ts\n"
_VARIANTS = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000,RESOLUTION=640x360\nlive/index.m3u8?x=1\n"
_LOGIN = b'WWW-Authenticate: Digest realm="camera", qop="auth", nonce="4f2a", algorithm=MD5, stale=false\r\n'
_TYPES = {
    "stream": b"multipart/x-mixed-replace; boundary=b",
    "image": b"image/jpeg",
    "hls": b"application/vnd.apple.mpegurl",
}
_RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n%s" % (_TYPES["stream"], b"".join(_PARTS)),
    b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n"
    % (_TYPES["stream"], b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in _PARTS)),
    b'HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nETag: "7"\r\n\r\n%s'
    % (_TYPES["image"], len(_JPEGS[0]), _JPEGS[0]),
    b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (_TYPES["hls"], len(_PLAYLIST), _PLAYLIST),
    b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n%s" % (_TYPES["hls"], _VARIANTS),
    b"HTTP/1.1 401 Unauthorized\r\n%sContent-Length: 0\r\n\r\n" % _LOGIN,
    b"HTTP/1.0 200 OK\r\n\r\n" + _JPEGS[1],
]
_SETTINGS = b'{"score_threshold": 0.5, "classes": ["banana"]}'
_REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nConnection: close\r\n\r\n",
    b"GET /api/stats?x=1 HTTP/1.1\r\nHost: localhost\r\nCookie: a=b; edge_ssd_1=0123\r\nConnection: close\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-1\r\nOrigin: http://a\r\nConnection: close\r\n\r\n",
    b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Bearer abc\r\n\r\n",
    b"POST /api/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%s" % (len(_SETTINGS), _SETTINGS),
    b"POST /api/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(_SETTINGS), _SETTINGS),
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 9\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken=abc",
]
_WORDS = [
    b"",
    b"-1",
    b"0",
    b"9" * 30,
    b"9" * 5000,
    b"1e999",
    b"NaN",
    b"\0",
    b"\r\n",
    b"\r\n\r\n",
    b"\xff\xfe",
    b"%00%ff",
    b"//",
]
_WORDS += [
    "²".encode(),
    "²".encode("latin-1"),
    b"[" * 3000,
    b'{"a":' * 3000,
    b"a" * 20_000,
    b"chunked",
    b"gzip",
    b"\x1b[2J",
    b"://[",
]
_LIMITS = WebLimits(request_timeout_s=0.05, body_timeout_s=0.05)  # a request may be damaged to an incomplete one
_MAX_SECONDS, _MAX_MEGABYTES = 1.0, 50.0


def damaged_message(random: np.random.Generator, data: bytes) -> bytes:
    """Return an HTTP message with a few bytes, a word or a number changed, or a part of it repeated."""
    kind = int(random.integers(0, 4))
    if kind == 0:
        return damaged_copy(random, data)
    if kind == 1:
        start, end = sorted(int(place) for place in random.integers(0, len(data) + 1, 2))
        return data[:start] + data[start : min(end, start + 50)] * int(random.integers(0, 400)) + data[end:]
    # In the text before an image.
    text = data[: data.find(b"\xff\xd8") if b"\xff\xd8" in data else None]
    found = [match.span() for match in re.finditer(rb"[\w.-]+", text)]
    start, end = found[random.integers(0, len(found))]
    return data[:start] + _WORDS[random.integers(0, len(_WORDS))] + data[end:]


def fuzz_jpeg(random: np.random.Generator, count: int) -> Iterator[bool]:
    """Yield for every damaged stream whether it has an image."""
    for _ in range(count):
        stream = damaged_copy(random, b"".join(_PARTS))
        spec = InputSpec(64, 64) if random.integers(0, 2) else None
        splitter = JpegSplitter("camera")
        found = 0
        for start in range(0, len(stream), size := int(random.integers(100, 5000))):
            splitter.feed(stream[start : start + size])
            while (image := splitter.next_image()) is not None:
                frame = decode_frame(image, spec)
                found += frame is not None
        yield found > 0


class _Server(threading.Thread):
    """Server that sends ``response`` to each request, and closes the connection."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.response = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://user:secret@127.0.0.1:{self._listener.getsockname()[1]}/stream"
        self.start()

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(1)
                connection.recv(65536)
                connection.sendall(self.response)


def _without_ffmpeg(*arguments: object) -> NoReturn:
    raise SourceError("left to FFmpeg")


def fuzz_camera(random: np.random.Generator, count: int) -> Iterator[bool]:
    """Yield for every damaged response whether it has a frame."""
    server = _Server()
    timeouts = CaptureTimeouts(stall=0.05, stream_open=1.0)
    with (
        mock.patch.object(hls, "open_stream", _without_ffmpeg),
        mock.patch.object(http_camera, "open_stream", _without_ffmpeg),
    ):
        for number in range(count):
            server.response = damaged_message(random, _RESPONSES[number % len(_RESPONSES)])
            frames = 0
            try:
                reader = http_camera.open_http(server.url, timeouts, fps=100.0)
                with contextlib.closing(reader):
                    while frames < 3 and reader.read() is not None:
                        frames += 1
            except SourceError as error:
                message = str(error)
            else:
                message = ""
            assert not re.search("\n|secret", message), message
            yield frames > 0


def fuzz_web(random: np.random.Generator, count: int) -> Iterator[bool]:
    """Yield for every damaged request whether it was answered as if it were intact."""
    frames = LoopedFrames(clip_frames()[:2], 1)
    with Camera(source=frames, events=RecentEvents(), limits=_LIMITS) as camera:
        wait_until(lambda: request(camera.port, "/healthz").status == 200)
        for number in range(count):
            data = damaged_message(random, _REQUESTS[number % len(_REQUESTS)])
            answer = ask(camera.port, data)
            status = int(answer[9:12]) if answer else 0
            assert not answer or (answer.startswith(b"HTTP/1.") and status < 500), (data, answer[:2000])
            assert len(camera.log) < 100, camera.log[-3:]
            yield 200 <= status < 300
        assert request(camera.port, "/healthz").status == 200


def ask(port: int, data: bytes) -> bytes:
    """Send a request, and return the first bytes of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while len(answer) < 4096 and (received := connection.recv(4096)):
                answer += received
                connection.settimeout(0.02)  # a connection may be kept open
        return answer


KINDS = {"jpeg": fuzz_jpeg, "camera": fuzz_camera, "web": fuzz_web}


def main(count: int = 10_000, seed: int = 0, *names: str) -> None:
    with mock.patch.dict(
        os.environ, {MAX_MEGAPIXELS_VARIABLE: "1"}
    ):  # a damaged header states any size below the limit
        _run(count, seed, names)


def _run(count: int, seed: int, names: Collection[str]) -> None:
    for name in names or KINDS:
        random = np.random.default_rng([seed, *name.encode()])
        rounds = KINDS[name](random, count)
        intact, slowest, before = int(next(rounds)), 0.0, peak_megabytes()
        start = time.process_time()
        for found in rounds:
            intact += found
            slowest = max(slowest, time.process_time() - start)
            start = time.process_time()
        grown = peak_megabytes() - before
        result = {
            "kind": name,
            "files": count,
            "intact": intact,
            "slowest_s": round(slowest, 3),
            "grown_mb": round(grown, 1),
        }
        print(json.dumps(result), flush=True)
        assert slowest < _MAX_SECONDS, result
        assert grown < _MAX_MEGABYTES, result


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*map(int, arguments[:2]), *arguments[2:])
