"""Cameras, streams and video files, read with OpenCV, which is imported when the first one is opened."""

from __future__ import annotations

import logging
import math
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from device_apps.numpy_conflict import is_numpy_conflict, numpy_cause, numpy_remedy
from device_apps.sources.deferred_image import DeferredImage, Image
from device_apps.sources.frame_buffers import FrameBuffers
from device_apps.sources.jpeg_frame import decode_frame
from device_apps.sources.media_clock import MediaClock
from device_apps.sources.timeouts import CaptureTimeouts
from device_apps.sources.utf8_path import utf8_path
from device_apps.sources.video_file import truncation_error
from edge_ssd.console.redact import redact_url
from edge_ssd.errors import EdgeSSDError, SourceError
from edge_ssd.network import InputSpec

__all__ = [
    "CameraRequest",
    "OpenCVReader",
    "load_opencv",
    "open_camera",
    "open_stream",
    "open_video",
    "set_opencv_environment",
]

_log = logging.getLogger(__name__)

_ENVIRONMENT = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8", "OPENCV_FFMPEG_IS_THREAD_SAFE": "1"}
_READ_MARGIN_S = 1.0  # FFmpeg ends a connection that hangs by itself, after the watchdog has abandoned it.
# FFmpeg alone waits for 20 frames, 4 s at five frames a second, to measure the rate. "tcp" is OpenCV's default.
_RTSP_OPTIONS = {"OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp|fpsprobesize;3"}
_PIPE_FORMATS = (
    "no video can be read from this pipe; use a format that is read as it comes: Matroska, MPEG-TS, MJPEG, H.264, or "
    "MP4 with its index in front (ffmpeg -movflags +faststart), and check that its writer writes"
)
_MJPG = int.from_bytes(b"MJPG", "little")
_MAX_UNCOMPRESSED = 640 * 480  # Pixels of a frame that webcams send uncompressed at 30 frames a second.
_MAX_UNDECODABLE = 30  # Frames in a row that cannot be decoded before a camera counts as lost.


@dataclass(frozen=True)
class CameraRequest:
    """Settings requested from a camera, in pixels and frames per second; None keeps the camera's default."""

    width: int | None = None
    height: int | None = None
    fps: float | None = None


def load_opencv() -> ModuleType:
    """Import OpenCV with its own messages on stderr switched off.

    Set ``OPENCV_LOG_LEVEL`` and ``OPENCV_FFMPEG_LOGLEVEL`` to see them; OpenCV reads both once, at its first use.
    ``OPENCV_FFMPEG_IS_THREAD_SAFE`` is set because FFmpeg is thread-safe since 4.0: without it, one stream that hangs
    while it is opened would block the opening of all others. Raises EdgeSSDError if OpenCV does not load.
    """
    set_opencv_environment()
    try:
        import cv2
    except ImportError as error:
        if is_numpy_conflict(str(error)):
            raise EdgeSSDError(f"{numpy_cause('OpenCV')} ({error}): {numpy_remedy()}") from None
        raise EdgeSSDError(
            f"cameras and videos need OpenCV, which does not load ({error}): pip install 'edge-ssd[camera]'"
        ) from None
    return cv2


def set_opencv_environment() -> None:
    """Set what OpenCV reads once, at its first use; see :func:`load_opencv`."""
    _set_environment(_ENVIRONMENT)


def _set_environment(variables: Mapping[str, str]) -> None:
    """Set variables that the user has not set."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)


def open_video(path: Path) -> OpenCVReader:
    """Open a video file, or a pipe, for reading every frame, in order.

    Raises:
        SourceError: it cannot be read, or is not a video.
    """
    cv2 = load_opencv()
    pipe = _is_pipe(path)
    try:
        damage = None if pipe else truncation_error(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot read this file: {error.strerror}") from None
    # The absolute path keeps FFmpeg from reading "a:b.mp4" as a protocol and "-x.mp4" as an option. Links of /proc to
    # pipes are names that do not exist.
    with utf8_path(path.absolute() if pipe else path.resolve()) as name:
        capture = cv2.VideoCapture(name, _file_backend(cv2))
    if not capture.isOpened():
        if pipe:
            raise SourceError(f"{path}: {_PIPE_FORMATS}")
        reason = damage or "OpenCV cannot read it as a video"
        raise SourceError(f"{path}: not a usable video: {reason}; copy it again or convert it to .mp4")
    return OpenCVReader(cv2, capture, str(path), live=False, damage=damage, pipe=pipe)


def open_camera(
    device: str, request: CameraRequest, devices: Path = Path("/dev"), input_spec: InputSpec | None = None
) -> OpenCVReader:
    """Open a webcam and request the given settings; a setting that the camera does not accept is logged.

    ``device`` is a path ("/dev/video0"), or an index ("0") in the folder ``devices``. A size above 640×480 is requested
    as MJPEG, because uncompressed frames of it exceed USB 2.0, and JPEG frames are decoded for ``input_spec``. Raises
    SourceError if there is no such camera, no permission to use it, or it cannot be opened.
    """
    cv2 = load_opencv()
    path = devices / f"video{device}" if device.isdigit() else Path(device)
    linux = sys.platform.startswith("linux")
    if linux:
        _check_device(path, devices)
        capture = cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    else:
        capture = cv2.VideoCapture(int(device) if device.isdigit() else device)
    if not capture.isOpened():
        raise SourceError(
            f"camera {device}: {path} cannot be opened; another program may be using it, or it is not a camera "
            f"(other devices: {_list_devices(devices, exclude=path)})"
        )
    if linux and (request.width or 0) * (request.height or 0) > _MAX_UNCOMPRESSED:
        capture.set(cv2.CAP_PROP_FOURCC, _MJPG)  # Before the size, which depends on it.
    requested = [
        (cv2.CAP_PROP_FRAME_WIDTH, "width", request.width),
        (cv2.CAP_PROP_FRAME_HEIGHT, "height", request.height),
        (cv2.CAP_PROP_FPS, "fps", request.fps),
    ]
    for key, _, value in requested:
        if value is not None:
            capture.set(key, value)
    for key, name, value in requested:
        actual = capture.get(key)
        if value is not None and actual != value:
            _log.warning("camera %s: requested %s %g, got %g", device, name, value, actual)
    if linux and int(capture.get(cv2.CAP_PROP_FOURCC)) == _MJPG:
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # Frames are the camera's JPEG images.
    return OpenCVReader(cv2, capture, f"camera {device}", live=True, input_spec=input_spec)


def open_stream(url: str, timeouts: CaptureTimeouts = CaptureTimeouts()) -> OpenCVReader:
    """Open an RTSP URL, or a video at an HTTP URL; ``stream_open`` and ``stall`` of ``timeouts`` limit the time.

    RTSP is requested over TCP first, OpenCV's default, because lost UDP packets damage the images. It is open after
    three frames, unless ``OPENCV_FFMPEG_CAPTURE_OPTIONS`` is set. One thread decodes the stream unless
    ``OPENCV_FFMPEG_THREADS`` is set: each further thread delays H.264 and MPEG-4 by one frame
    (measured with MPEG-4: 33 ms each at 30 frames a second). Raises SourceError if OpenCV cannot open the stream.
    """
    cv2 = load_opencv()
    options = {
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: round(1000 * timeouts.stream_open_seconds),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: round(1000 * (timeouts.stall + _READ_MARGIN_S)),
    }
    # Debian 12 has OpenCV 4.6, without this property.
    if "OPENCV_FFMPEG_THREADS" not in os.environ and hasattr(cv2, "CAP_PROP_N_THREADS"):
        options[cv2.CAP_PROP_N_THREADS] = 1
    parameters = [number for pair in options.items() for number in pair]
    if url.startswith(("rtsp://", "rtsps://")):
        _set_environment(_RTSP_OPTIONS)
    capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, parameters)
    name = redact_url(url)
    if not capture.isOpened():
        raise SourceError(
            f"{name}: OpenCV cannot open this stream; check the port and the path of the URL (the camera's manual "
            "names them), or choose MJPEG or H.264 in its settings"
        )
    # Only a recording behind a URL announces its length.
    live = not capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
    return OpenCVReader(cv2, capture, name, live=live)


class OpenCVReader:
    """An opened ``cv2.VideoCapture``."""

    def __init__(
        self,
        cv2: ModuleType,
        capture: Any,
        name: str,
        *,
        live: bool,
        damage: str | None = None,
        pipe: bool = False,
        input_spec: InputSpec | None = None,
    ) -> None:
        self.live = live
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        self.fps = fps if math.isfinite(fps) and 0 < fps <= 1000 else None
        self._cv2 = cv2
        self._capture = capture
        self._name = name
        self._damage = damage
        self._pipe = pipe
        self._input_spec = input_spec
        self._count = 0
        self._buffers = FrameBuffers()
        self._clock = MediaClock(self.fps)

    @property
    def time(self) -> float | None:
        return None if self.live else self._clock.seconds

    @property
    def position(self) -> float:
        """Time stamp of the frame that was read last, in seconds, of a live stream too."""
        return float(self._capture.get(self._cv2.CAP_PROP_POS_MSEC)) / 1000

    def read(self) -> Image | DeferredImage | None:
        undecodable = 0
        while self._capture.grab():
            if not self.live:
                self._clock.advance(self.position)
            image = self._retrieve()
            if image is not None:
                self._count += 1
                return image
            undecodable += 1
            if not self.live or undecodable == _MAX_UNDECODABLE:
                break
        if not self.live and self._count == 0 and self._damage is None:
            reason = self._undecodable()
            raise SourceError(f"{self._name}: {_PIPE_FORMATS if self._pipe else reason}")
        if self._damage is not None:
            raise SourceError(f"{self._name}: {self._damage}; frames used: {self._count}; copy the file again")
        return None

    def _undecodable(self) -> str:
        """Return why a recording gives no frame, and the cure."""
        convert = "convert it: ffmpeg -i FILE -c:v libx264 -pix_fmt yuv420p NEW.mp4"
        if "://" in self._name:  # A server without ranges sends no frame of an MP4 whose index is at its end.
            return (
                "none of its frames can be read; download it and give the file, or put its index in front: ffmpeg -i "
                f"FILE -c copy -movflags +faststart NEW.mp4; if this does not help, {convert}"
            )
        return f"none of its frames can be decoded{self._codec()}; {convert}"

    def _codec(self) -> str:
        """Return the four-character code of the codec in parentheses; "" if it is unknown."""
        code = int(self._capture.get(self._cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        text = code.to_bytes(4, "little").decode("ascii", "replace").strip("\0 ")
        return f" (codec {text}, for which this OpenCV has no decoder)" if text.isalnum() else ""

    def _retrieve(self) -> Image | DeferredImage | None:
        """Return the grabbed frame, or None if it cannot be decoded."""
        try:
            decoded, image = self._capture.retrieve(self._buffers.free())
            if not decoded or image is None or not image.size:
                return None
            if image.ndim == 1 or image.shape[0] == 1:  # A row of bytes: the camera's JPEG image.
                return decode_frame(image.tobytes(), self._input_spec)
            self._buffers.keep(image)
            return self._deferred(image)
        except self._cv2.error:
            return None

    def _deferred(self, image: Image) -> DeferredImage:
        """Return a frame of OpenCV, BGR or gray. The detector gets a view: the network's small input is converted.

        The rest is converted in the thread that shows or saves it, never in a capture thread: ``cvtColor`` leaks some
        kilobytes for each thread that calls it (OpenCV 4.11 and 5.0), and each reconnect is a new thread.
        """
        if image.ndim == 2:
            image = self._cv2.merge((image, image, image))

        def to_rgb() -> Image:
            return np.asarray(self._cv2.cvtColor(image, self._cv2.COLOR_BGR2RGB), np.uint8)

        return DeferredImage(image[..., ::-1], image.shape[:2], to_rgb)

    def close(self) -> None:
        self._capture.release()


def _is_pipe(path: Path) -> bool:
    """Return whether a path is a pipe or a terminal. Raises SourceError for a socket or block device."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise SourceError(f"{path}: cannot read this file: {error.strerror}") from None
    if stat.S_ISSOCK(mode) or stat.S_ISBLK(mode):
        kind = "socket" if stat.S_ISSOCK(mode) else "block device"
        raise SourceError(f"{path}: is a {kind}, not a video; give a file, a pipe or a URL")
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _file_backend(cv2: ModuleType) -> int:
    """Return FFmpeg where OpenCV has it: other backends, tried after it, print messages of their own."""
    backends = cv2.videoio_registry.getBackends()
    return int(cv2.CAP_FFMPEG if cv2.CAP_FFMPEG in backends else cv2.CAP_ANY)


def _check_device(path: Path, devices: Path) -> None:
    if not path.exists():
        raise SourceError(
            f"no camera at {path} (available: {_list_devices(devices)}); connect it, or give another --source"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(f"{path}: no permission to use this camera: sudo usermod -aG video $USER, then log in again")


def _list_devices(folder: Path, exclude: Path | None = None) -> str:
    """Return the paths of the video devices of this machine as text."""
    devices = sorted(str(path) for path in folder.glob("video*") if path != exclude)
    return ", ".join(devices) or f"no {folder}/video*"
