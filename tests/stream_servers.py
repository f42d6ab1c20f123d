"""Servers that act as network cameras for tests, on loopback: MJPEG over HTTP, and RTSP with RTP/JPEG over TCP.

Sources: RFC 2046 §5.1 (multipart), RFC 2326 (RTSP 1.0), RFC 3550 (RTP), RFC 2435 (JPEG over RTP).
"""

from __future__ import annotations

import base64
import contextlib
import io
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

_BITS = 8


def numbered_frame(number: int, width: int = 160, height: int = 128) -> np.ndarray:
    """uint8 RGB [height, width, 3]: an image that encodes its number (0–255) in blocks that survive compression.

    The upper half encodes the bits, white or black; the lower left is red and the lower right is blue, to detect
    swapped channels.
    """
    image = np.zeros((height, width, 3), np.uint8)
    for bit in range(_BITS):
        if number >> bit & 1:
            image[: height // 2, bit * width // _BITS : (bit + 1) * width // _BITS] = 255
    image[height // 2 :, : width // 2] = (255, 0, 0)
    image[height // 2 :, width // 2 :] = (0, 0, 255)
    return image


def number_of(image: np.ndarray) -> int:
    """Return the number in a :func:`numbered_frame`; check that the lower left is red and the lower right blue."""
    height, width = image.shape[:2]
    left, right = image[height * 3 // 4, width // 4], image[height * 3 // 4, width * 3 // 4]
    assert left[0] > 180 > 80 > left[2], f"lower left should be red, is {left}"
    assert right[2] > 180 > 80 > right[0], f"lower right should be blue, is {right}"
    columns = [(2 * bit + 1) * width // (2 * _BITS) for bit in range(_BITS)]
    return sum(int(image[height // 4, column].mean() > 127) << bit for bit, column in enumerate(columns))


def jpeg_frame(number: int, width: int = 160, height: int = 128) -> bytes:
    """Return a baseline JPEG (4:2:0, standard Huffman tables) of a :func:`numbered_frame`."""
    file = io.BytesIO()
    Image.fromarray(numbered_frame(number, width, height)).save(file, "JPEG", quality=90, subsampling=2)
    return file.getvalue()


def noise(jpeg: bytes) -> bytes:
    """Return a JPEG with random image data, as after a bad connection."""
    start = jpeg.index(b"\xff\xda") + 14
    return jpeg[:start] + random.randbytes(len(jpeg) - start - 2).replace(b"\xff", b"\0") + jpeg[-2:]


def cut(jpeg: bytes) -> bytes:
    """Return a JPEG that is truncated in the middle."""
    start = jpeg.index(b"\xff\xda") + 14
    return jpeg[: (start + len(jpeg)) // 2] + jpeg[-2:]


class _Server:
    """Accepts connections on loopback and serves each in a thread; a context manager.

    Attributes:
        connections: number of accepted connections.
        sent: number of images sent.
        paused: while set, connections stay open and nothing is sent; afterwards they go on.
        mute: connections that are open while it is set, or are opened then, never receive anything again, as after a
            power cut of a camera.
        missing: while set, the response to every request is 404.
        spoil: modifies each image before it is sent.
        password: of "user", or None; requests without it get 401.
    """

    scheme = "http"

    def __init__(
        self,
        fps: float = 50.0,
        size: tuple[int, int] = (160, 128),
        frames: int | None = None,
        password: str | None = None,
    ) -> None:
        self.fps = fps
        self.size = size
        self.frames = frames
        self.connections = self.sent = 0
        self.password = password
        self.paused = threading.Event()
        self.mute = threading.Event()
        self.missing = threading.Event()
        self.spoil: Callable[[bytes], bytes] = lambda jpeg: jpeg
        self._closing = threading.Event()
        self.port = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/stream"

    def __enter__(self):  # type: ignore[no-untyped-def]
        self._listen()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.set()
        self.stop()
        for thread in self._threads:
            thread.join(5)

    def drop_clients(self) -> None:
        """Close every open connection."""
        with self._lock:
            for connection in self._open:
                self._shut(connection)

    def stop(self) -> None:
        """Close every open connection and refuse new ones."""
        self._shut(self._listener)  # Wakes the thread that accepts; closing alone does not.
        self._listener.close()
        self.drop_clients()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Close all connections and refuse new ones; afterwards serve the same port again."""
        self.stop()
        yield
        self._listen()

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def images(self) -> Iterator[bytes]:
        """Yield the images to send, at ``fps``, until the server is mute."""
        number, due = 0, time.monotonic()
        while not self._closing.is_set() and (self.frames is None or number < self.frames):
            if self.mute.is_set():
                return
            if not self.paused.is_set():
                self.sent += 1
                yield self.spoil(self.jpeg(number))
                number += 1
            due = max(due + 1 / self.fps, time.monotonic() - 1)
            self._closing.wait(max(due - time.monotonic(), 0.0))

    def jpeg(self, number: int) -> bytes:
        """Return the JPEG of a number."""
        return jpeg_frame(number % 256, *self.size)

    def refusal(self, request: str, missing: bool) -> str | None:
        """Return the status of an error response, or None when the request is served."""
        if self.password is not None:
            fields = base64.b64encode(f"user:{self.password}".encode()).decode()
            if f"Authorization: Basic {fields}" not in request:
                return "401 Unauthorized"
        return "404 Not Found" if missing or self.missing.is_set() else None

    def hold(self, connection: socket.socket) -> None:
        """Send nothing until the client disconnects."""
        while connection.recv(4096):
            pass

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            self._start(self._serve_and_close, connection)

    def _serve_and_close(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self.serve(connection)
        with self._lock:
            self._open.discard(connection)

    def _start(self, target, *args: object) -> None:  # type: ignore[no-untyped-def]
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    @staticmethod
    def _shut(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class MjpegServer(_Server):
    """``multipart/x-mixed-replace``, as IP cameras and phone apps send it; paths other than /stream get 404."""

    def serve(self, connection: socket.socket) -> None:
        request = _request(connection)
        if self.mute.is_set():
            self.hold(connection)
        if request is None:
            return
        status = self.refusal(request, missing=not request.split(" ")[1].startswith("/stream"))
        if status is not None:
            challenge = 'WWW-Authenticate: Basic realm="camera"\r\n' if status.startswith("401") else ""
            head = f"HTTP/1.1 {status}\r\n{challenge}Content-Length: 0\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode())
            return
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nCache-Control: no-cache\r\n"
            b"Content-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        )
        for data in self.images():
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(head.encode() + data + b"\r\n")
        if self.mute.is_set():
            self.hold(connection)


class RtspServer(_Server):
    """RTSP with one RTP/JPEG track, interleaved in the TCP connection; other transports get 461.

    Attributes:
        transports: requested transports, in order.
    """

    scheme = "rtsp"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.transports: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        writing = threading.Lock()
        while (request := _request(connection)) is not None:
            if self.mute.is_set():
                self.hold(connection)
                return
            method, url, _ = request.split("\r\n")[0].split(" ", 2)
            fields = dict(line.split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
            status, extra, body = "200 OK", "", ""
            if method == "OPTIONS":
                extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
            elif refused := self.refusal(request, missing="/stream" not in url):
                status, extra = refused, 'WWW-Authenticate: Basic realm="camera"\r\n'
            elif method == "DESCRIBE":
                body = (
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                    "m=video 0 RTP/AVP 26\r\na=control:track0\r\n"
                )
                extra = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\n"
            elif method == "SETUP":
                self.transports.append(fields.get("Transport", ""))
                if "RTP/AVP/TCP" in self.transports[-1]:
                    extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
                else:
                    status = "461 Unsupported Transport"
            head = f"RTSP/1.0 {status}\r\nCSeq: {fields.get('CSeq', '0')}\r\nSession: 1\r\n{extra}"
            with writing:
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            if method == "PLAY":
                self._start(self._play, connection, writing)
            elif method == "TEARDOWN":
                return

    def _play(self, connection: socket.socket, writing: threading.Lock) -> None:
        sequence, start = 0, time.monotonic()
        with contextlib.suppress(OSError):
            for jpeg in self.images():
                timestamp = int((time.monotonic() - start) * 90_000)
                for last, payload in _rtp_jpeg(jpeg):
                    packet = struct.pack(">BBHII", 0x80, 26 | last << 7, sequence & 0xFFFF, timestamp, 1) + payload
                    with writing:
                        connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                    sequence += 1
            if not self.mute.is_set():
                self._shut(connection)


def _request(connection: socket.socket) -> str | None:
    """Read the head of an HTTP or RTSP request; skip RTP packets of the client. None at the end of the connection."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return None
        data += byte
        if data == b"$":
            length = struct.unpack(">xH", connection.recv(3, socket.MSG_WAITALL))[0]
            connection.recv(length, socket.MSG_WAITALL)
            data = b""
    return data.decode("latin-1")


def _rtp_jpeg(jpeg: bytes, max_payload: int = 1200) -> Iterator[tuple[bool, bytes]]:
    """Yield (is last, payload) of each packet of an image: RFC 2435 §3.1, type 1 (4:2:0), tables sent along (Q=255)."""
    tables, at, width, height = b"", 2, 0, 0
    while True:
        marker, length = jpeg[at + 1], struct.unpack(">H", jpeg[at + 2 : at + 4])[0]
        segment = jpeg[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDB:
            for start in range(0, len(segment), 65):
                assert segment[start] >> 4 == 0, "8-bit tables only"
                tables += segment[start + 1 : start + 65]
        elif marker == 0xC0:
            height, width = struct.unpack(">HH", segment[1:5])
        elif marker == 0xDA:
            break
    scan = jpeg[at:-2]
    assert len(tables) == 128
    offset = 0
    while offset < len(scan):
        head = struct.pack(">B3sBBBB", 0, offset.to_bytes(3, "big"), 1, 255, width // 8, height // 8)
        if offset == 0:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        part = scan[offset : offset + max_payload]
        offset += len(part)
        yield offset >= len(scan), head + part
