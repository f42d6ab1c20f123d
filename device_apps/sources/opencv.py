"""Cameras, streams and video files through OpenCV. Loaded only when one is opened."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from device_apps.sources.capture import STALL_TIMEOUT_S
from device_apps.sources.frames import Image, OnMessage
from device_apps.sources.stream_url import redact_url
from device_apps.sources.video_file import truncation_error
from edge_ssd.errors import EdgeSSDError, SourceError

__all__ = ["CameraRequest", "load_opencv", "open_camera", "open_stream", "open_video"]

_ENVIRONMENT = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8", "OPENCV_FFMPEG_IS_THREAD_SAFE": "1"}
# FFmpeg gives a connection up by itself; later than the source does, so that the source decides, and so much sooner
# than four stall limits that of the four capture threads that may run at once, one is always about to end.
_SHORTEST_OPEN_S, _STALLS_TO_OPEN, _LATER_S = 7.0, 3.5, 1.0
_BGR_TO_RGB = (0, 2, 1, 1, 2, 0)  # From, to, from, to, …
_UNREADABLE_IN_A_ROW = 30  # Pictures that cannot be decoded: so many may be an accident, more are a broken camera.


@dataclass(frozen=True)
class CameraRequest:
    """What a camera is asked for; None leaves it to the camera. Sizes in pixels."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None


def load_opencv() -> ModuleType:
    """Import OpenCV, silent on stderr: what went wrong is said by our own errors.

    ``OPENCV_LOG_LEVEL`` and ``OPENCV_FFMPEG_LOGLEVEL``, which OpenCV reads once when it is first used, bring its own
    messages back. Without ``OPENCV_FFMPEG_IS_THREAD_SAFE``, as FFmpeg has been since 4.0, one stream that is stuck
    while it is opened would keep all others from being opened. Raises :class:`EdgeSSDError` with the command that
    installs it.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
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
        damage = truncation_error(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot read this file: {error.strerror}") from None
    # The absolute path keeps FFmpeg from reading "a:b.mp4" as a protocol and "-x.mp4" as an option.
    capture = cv2.VideoCapture(str(path.resolve()), _file_backend(cv2))
    if not capture.isOpened():
        reason = damage or "OpenCV cannot read it as a video"
        raise SourceError(f"{path}: not a usable video: {reason}; copy it again or convert it to .mp4")
    return _Grabber(cv2, capture, str(path), live=False, damage=damage)


def open_camera(device: str, request: CameraRequest, notice: OnMessage) -> _Grabber:
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


def open_stream(url: str, stall_timeout: float = STALL_TIMEOUT_S) -> _Grabber:
    """Open an HTTP (MJPEG or a video file) or RTSP URL.

    RTSP is asked for over TCP first, OpenCV's default, since lost UDP packets grey out half of each picture. The
    picture is decoded in one thread unless ``OPENCV_FFMPEG_THREADS`` says otherwise: each further one holds back a
    frame of H.264 or MPEG-4 (measured with MPEG-4: 33 ms each at 30 frames a second).
    """
    cv2 = load_opencv()
    wanted = {
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: round(1000 * max(_SHORTEST_OPEN_S, _STALLS_TO_OPEN * stall_timeout)),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: round(1000 * (stall_timeout + _LATER_S)),
    }
    if "OPENCV_FFMPEG_THREADS" not in os.environ:
        wanted[cv2.CAP_PROP_N_THREADS] = 1
    parameters = [number for pair in wanted.items() for number in pair]
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, parameters)
    name = redact_url(url)
    if not capture.isOpened():
        raise SourceError(f"{name}: OpenCV cannot open this stream")
    # A recording behind a URL announces its length; a camera cannot.
    live = not capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
    return _Grabber(cv2, capture, name, live=live)


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
        unreadable = 0
        while self._capture.grab():
            image = self._decoded()
            if image is not None:
                self._count += 1
                return image
            unreadable += 1
            if not self.live or unreadable == _UNREADABLE_IN_A_ROW:
                break
        if self._damage is not None:
            raise SourceError(f"{self._name}: {self._damage}; frames used: {self._count}; copy the file again")
        return None

    def _decoded(self) -> Image | None:
        """The picture that was grabbed, or None for one that cannot be decoded, as a webcam gives now and then."""
        try:
            there, picture = self._capture.retrieve()
            if not there or picture is None or not picture.size:
                return None
            return self._as_rgb(picture)
        except self._cv2.error:
            return None

    def _as_rgb(self, picture: Image) -> Image:
        """What OpenCV gives, blue first or grey, as RGB.

        ``cvtColor`` leaves some kilobytes behind for each thread that calls it (OpenCV 4.11 and 5.0), and each
        reconnect is a new thread: months of them would fill the memory. So it converts recordings only, which are read
        by one thread; for the others there is ``mixChannels``, which takes 0.2 ms for 640×480 instead of 0.02.
        """
        if picture.ndim == 2:
            picture = self._cv2.merge((picture, picture, picture))
        if not self.live:
            return np.asarray(self._cv2.cvtColor(picture, self._cv2.COLOR_BGR2RGB), np.uint8)
        image = np.empty_like(picture)
        self._cv2.mixChannels([picture], [image], _BGR_TO_RGB)
        return image

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
