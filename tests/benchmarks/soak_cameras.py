"""Four cameras on loopback that fail on demand: RTSP, MJPEG, one image per request, and a stand-in for picamera2.

All of them show the same scene: three bananas for some seconds, then none, by the clock of the machine.
"""

from __future__ import annotations

import contextlib
import io
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from stream_servers import _request, _Server, cut, noise  # noqa: E402

__all__ = ["FPS", "PHASE_S", "Camera", "CsiCamera", "ServerCamera", "SnapshotServer", "phase_at"]

FPS = 5.0
PHASE_S = 8.0
_SIZE = (320, 240)
_CLIP = TESTS.parent / "device_apps" / "clips" / "bananas.mp4"

Failure = Callable[[], AbstractContextManager[None]]


def phase_at(at: float) -> int:
    """Return the number of the phase of the scene at ``time.monotonic()``; bananas are seen in even ones."""
    return int(at / PHASE_S)


def scene_images() -> list[np.ndarray]:
    """Return the scene with bananas and the one without, uint8 RGB."""
    import cv2

    capture = cv2.VideoCapture(str(_CLIP))
    image = capture.read()[1][..., ::-1]
    capture.release()
    return [np.asarray(Image.fromarray(image).resize(_SIZE)), np.full((_SIZE[1], _SIZE[0], 3), 128, np.uint8)]


class _Scene:
    """The scene as JPEG; no two images are the same, as from a sensor."""

    def __init__(self) -> None:
        self._jpegs = []
        for image in scene_images():
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=90, subsampling=2)
            self._jpegs.append(file.getvalue())

    def jpeg(self) -> bytes:
        now = time.monotonic()
        comment = b"%020d" % int(now * 1e6)
        data = self._jpegs[phase_at(now) % 2]
        return data[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + data[2:]


class SnapshotServer(_Server):
    """One image per request, over kept connections."""

    def serve(self, connection: socket.socket) -> None:
        while (request := _request(connection)) is not None:
            if self.mute.is_set():
                self.hold(connection)
                return
            while self.paused.is_set():
                time.sleep(0.05)
            if (status := self.refusal(request, missing=False)) is not None:
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
                continue
            jpeg = self.spoil(self.jpeg(0))
            head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            connection.sendall(head.encode() + jpeg)


class Camera:
    """Camera and the ways in which it fails.

    Attributes:
        name: short, for files and topics.
        options: of ``edge-ssd camera``.
        environment: variables that the command needs.
        failures: by name; each is a context manager that fails the camera while it is entered.
        instant: names of failures that are over at once.
    """

    name: str
    options: list[str]
    environment: dict[str, str]
    failures: dict[str, Failure]
    instant: frozenset[str] = frozenset()


class ServerCamera(Camera):
    """A network camera: a server of :mod:`stream_servers`."""

    instant = frozenset({"connection cut"})

    def __init__(self, server_class: type[_Server], name: str, stack: contextlib.ExitStack, *options: str) -> None:
        scene = _Scene()
        server = type(server_class.__name__, (server_class,), {"jpeg": lambda self, number: scene.jpeg()})(fps=FPS)
        self._server: _Server = stack.enter_context(server)
        self.name = name
        self.options = ["--source", self._server.url, *options]
        self.environment = {}
        self.failures = {
            "connection cut": self._cut,
            "server killed": self._server.away,
            "hang": lambda: _while_set(self._server.mute),
            "pause": lambda: _while_set(self._server.paused),
            "accepts, never answers": self._silent_on_opening,
            "damaged images": self._damaged,
            "404": self._missing,
        }

    @contextmanager
    def _cut(self) -> Iterator[None]:
        self._server.drop_clients()
        yield

    @contextmanager
    def _silent_on_opening(self) -> Iterator[None]:
        with _while_set(self._server.mute):
            self._server.drop_clients()
            yield

    @contextmanager
    def _damaged(self) -> Iterator[None]:
        self._server.spoil = random.choice((noise, cut))
        yield
        self._server.spoil = lambda jpeg: jpeg

    @contextmanager
    def _missing(self) -> Iterator[None]:
        with _while_set(self._server.missing):
            self._server.drop_clients()
            yield


class CsiCamera(Camera):
    """A stand-in for picamera2, in a file that the child process of the reader imports."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.name = "csi"
        self.options = ["--source", "picamera"]
        self._failure = folder / "failure"
        self._failure.write_text("")
        np.save(folder / "scene.npy", np.stack(scene_images()))
        (folder / "picamera2.py").write_text(_PICAMERA2.format(fps=FPS, phase=PHASE_S))
        # The command passes its path on to its child.
        self.environment = {"PYTHONPATH": f"{folder}:{TESTS}:{TESTS.parent}"}
        names = ("hang", "error", "abort", "killed", "cannot be opened")
        self.failures = {name: lambda name=name: self._failing(name) for name in names}  # type: ignore[misc]

    @contextmanager
    def _failing(self, name: str) -> Iterator[None]:
        self._write(name)
        yield
        self._write("")

    def _write(self, name: str) -> None:
        temporary = self._failure.with_suffix(".new")
        temporary.write_text(name)
        temporary.replace(self._failure)


_PICAMERA2 = """
import os, signal, threading, time
from pathlib import Path
import numpy as np
from picamera2_stand_in import Picamera2 as Base

FOLDER = Path(__file__).parent
SCENE = np.load(FOLDER / "scene.npy")

class Picamera2(Base):
    def __init__(self):
        self.fail("cannot be opened")
        super().__init__()
    def fail(self, *names):
        failure = (FOLDER / "failure").read_text()
        if failure in names:
            if failure == "hang":
                threading.Event().wait()
            if failure == "abort":
                os.abort()
            if failure == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("Camera frontend has timed out!")
    def capture_array(self, name="main"):
        self.fail("hang", "error", "abort", "killed", "cannot be opened")
        time.sleep(1 / {fps})
        return SCENE[int(time.monotonic() / {phase}) % 2]
"""


@contextmanager
def _while_set(event: threading.Event) -> Iterator[None]:
    event.set()
    yield
    event.clear()
