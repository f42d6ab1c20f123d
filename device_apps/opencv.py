"""Cameras, streams and video files through OpenCV. Loaded only when one is opened."""

from __future__ import annotations

import contextlib
import math
import os
import re
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from device_apps.frames import Image, Notice
from device_apps.video_file import why_incomplete
from edge_ssd.errors import EdgeSSDError, SourceError

__all__ = ["CameraRequest", "load_opencv", "open_camera", "open_stream", "open_video", "without_password"]

_OPEN_TIMEOUT_MS, _READ_TIMEOUT_MS = 10_000, 5_000
_DEFAULT_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935}
_environment_lock = threading.Lock()


@dataclass(frozen=True)
class CameraRequest:
    """What a camera is asked for; None leaves it to the camera. Sizes in pixels."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None


def load_opencv() -> ModuleType:
    """Import OpenCV, silent on stderr: what went wrong is said by our own errors.

    ``OPENCV_LOG_LEVEL`` and ``OPENCV_FFMPEG_LOGLEVEL``, which OpenCV reads once when it is first used, bring its own
    messages back. Raises :class:`EdgeSSDError` with the command that installs it.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise EdgeSSDError(
            f"cameras and videos need OpenCV, which does not load ({error}): pip install 'edge-ssd[camera]'"
        ) from None
    return cv2


def open_video(path: Path) -> _Grabber:
    """Open a video file: every frame, in order."""
    cv2 = load_opencv()
    try:
        damage = why_incomplete(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot read this file: {error.strerror}") from None
    # The absolute path keeps FFmpeg from reading "a:b.mp4" as a protocol and "-x.mp4" as an option.
    capture = cv2.VideoCapture(str(path.resolve()), _file_backend(cv2))
    if not capture.isOpened():
        reason = damage or "OpenCV cannot read it as a video"
        raise SourceError(f"{path}: not a usable video: {reason}; copy it again or convert it to .mp4")
    return _Grabber(cv2, capture, str(path), live=False, damage=damage)


def open_camera(device: str, request: CameraRequest, notice: Notice) -> _Grabber:
    """Open a webcam by index ("0") or device path ("/dev/video0")."""
    cv2 = load_opencv()
    path = Path(f"/dev/video{device}" if device.isdigit() else device)
    linux = sys.platform.startswith("linux")
    if linux:
        _check_device(path)
        capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    else:
        capture = cv2.VideoCapture(int(device) if device.isdigit() else device)
    if not capture.isOpened():
        raise SourceError(
            f"camera {device}: {path} cannot be opened; another program may be using it, or it is not a camera "
            f"(other devices: {_devices(but=path)})"
        )
    wanted = [
        (cv2.CAP_PROP_FRAME_WIDTH, "width", request.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, "height", request.height),
        (cv2.CAP_PROP_FPS, "fps", request.fps),
    ]
    for key, _, value in wanted:
        if value is not None:
            capture.set(key, value)
    for key, name, value in wanted:
        actual = capture.get(key)
        if value is not None and actual != value:
            notice(f"camera {device} gives a {name} of {actual:g} where {value:g} was asked for")
    return _Grabber(cv2, capture, f"camera {device}", live=True)


def open_stream(url: str) -> _Grabber:
    """Open an HTTP (MJPEG or a video file) or RTSP URL."""
    cv2 = load_opencv()
    parameters = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_TIMEOUT_MS]
    with _rtsp_over_tcp(url):
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, parameters)
    name = without_password(url)
    if not capture.isOpened():
        raise SourceError(f"{name}: {_why_no_stream(url)}")
    # A recording behind a URL announces its length; a camera cannot.
    live = not capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
    return _Grabber(cv2, capture, name, live=live)


def without_password(url: str) -> str:
    """The URL as it may be shown and logged."""
    return re.sub(r"(://[^/:@]*):[^/]*@", r"\1:***@", url, count=1)


class _Grabber:
    """An opened ``cv2.VideoCapture``."""

    def __init__(self, cv2: ModuleType, capture: Any, name: str, *, live: bool, damage: str | None = None) -> None:
        self.live = live
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else None
        self._cv2 = cv2
        self._capture = capture
        self._name = name
        self._damage = damage
        self._count = 0

    def read(self) -> Image | None:
        grabbed, picture = self._capture.read()
        if grabbed and picture is not None and picture.size:
            self._count += 1
            code = self._cv2.COLOR_GRAY2RGB if picture.ndim == 2 else self._cv2.COLOR_BGR2RGB
            image: Image = np.asarray(self._cv2.cvtColor(picture, code), np.uint8)
            return image
        if self._damage is not None:
            raise SourceError(f"{self._name}: {self._damage}; frames used: {self._count}; copy the file again")
        return None

    def close(self) -> None:
        self._capture.release()


def _file_backend(cv2: ModuleType) -> int:
    """FFmpeg where OpenCV has it: the others, tried after it, print their own complaints about what it refused."""
    backends = cv2.videoio_registry.getBackends()
    return int(cv2.CAP_FFMPEG if cv2.CAP_FFMPEG in backends else cv2.CAP_ANY)


def _check_device(path: Path) -> None:
    if not path.exists():
        raise SourceError(f"no camera at {path} (there is: {_devices()}); connect it, or name another --source")
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(f"{path}: no permission to use this camera: sudo usermod -aG video $USER, then log in again")


def _devices(but: Path | None = None) -> str:
    """The video devices of this machine, in words."""
    devices = sorted(str(path) for path in Path("/dev").glob("video*") if path != but)
    return ", ".join(devices) or "no /dev/video*"


@contextlib.contextmanager
def _rtsp_over_tcp(url: str) -> Iterator[None]:
    """RTSP over TCP, since lost UDP packets grey out half of each picture; an option of the user's own goes first.

    OpenCV takes it from the environment only, so it is set while one stream is opened and removed again.
    """
    name = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
    if not url.lower().startswith("rtsp") or name in os.environ:
        yield
        return
    with _environment_lock:
        os.environ[name] = "rtsp_transport;tcp"
        try:
            yield
        finally:
            os.environ.pop(name, None)


def _why_no_stream(url: str) -> str:
    """Ask once more, in a way that says what is wrong."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme.lower())
    except ValueError:
        return "no URL: its host or port is malformed; give http://, https:// or rtsp:// with a host"
    if parts.hostname is None or port is None:
        return "OpenCV cannot open this URL; give http://, https:// or rtsp:// with a host"
    try:
        socket.create_connection((parts.hostname, port), timeout=3).close()
        if parts.scheme.lower() in ("http", "https"):
            urllib.request.urlopen(url, timeout=3).close()
    except urllib.error.HTTPError as error:
        with error:
            return f"the server answers {error.code} {error.reason}; check the path, user and password of the URL"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"nothing answers at {parts.hostname}:{port} ({reason}); check the address and that the camera is on"
    return "the server answers, but sends no video; check the path, user and password of the URL"
