"""Open the source of frames that a user names with ``--source``.

0, 1, …                    webcam by index               live: only the newest frame
/dev/video0                webcam by device              live
picamera                   CSI camera of a Raspberry Pi  live
http://…, rtsp://…         stream                        live (a video file behind http://: every frame)
http://…                   one image per request         live, requested again and again
folder                     its images, by name           every image
image                                                    this image
animated GIF, WebP, PNG                                  every frame, in order
any other file             video                         every frame, in order
-, /dev/stdin, named pipe  video                         every frame, in order

A file or folder that is repeated is live.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from device_apps.sources.animation import AnimationReader, is_animation
from device_apps.sources.capture import CaptureSource
from device_apps.sources.frames import Frame, FrameReader, Image, Source
from device_apps.sources.image_folder import ImageFolderSource, list_images
from device_apps.sources.looped_file import FolderReader, LoopedReader
from device_apps.sources.stream_url import diagnose_stream
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.console.redact import redact_url
from edge_ssd.console.suggestions import missing_path_hint
from edge_ssd.errors import SettingError, SourceError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.image_file import IMAGE_SUFFIXES

__all__ = ["Frame", "Image", "Source", "open_source"]

_CSI_RETRIES = 20
_URL = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*)://.*")
# An address with a user or a port, or a scheme that lacks a part: "192.168.1.20/x", "camera:8080", "http:/camera".
_URL_WITHOUT_SCHEME = re.compile(
    r"(?:https?|rtsps?)(?::/?|//?)[^/]\S*|"
    r"(?:\S*@)?(?:\d{1,3}(?:\.\d{1,3}){3}|[\w.-]+:\d+|\S+@[\w.-]+)(?:[:/]\S*)?",
    re.IGNORECASE,
)


def open_source(
    spec: str,
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    retries: int | None = None,
    timeouts: CaptureTimeouts = CaptureTimeouts(),
    stop: threading.Event | None = None,
    skip_unreadable: bool = False,
    loop: bool = False,
    input_spec: InputSpec | None = None,
    on_frame: Callable[[], None] = lambda: None,
    devices: Path = Path("/dev"),
) -> Source:
    """Return the source of a ``--source`` value. Entering it with ``with`` opens the device, stream or video.

    Args:
        width, height, fps: requested from a camera; ``fps`` also from a URL that gives one image per request, and of a
            file that is repeated.
        retries, timeouts, stop, on_frame: of a camera or stream; see
            :class:`~device_apps.sources.capture.CaptureSource`.
        skip_unreadable: of images, see :class:`~device_apps.sources.image_folder.ImageFolderSource`.
        loop: repeat a video, an image or a folder at its own speed, as a live source.
        input_spec: of the network. JPEG images are decoded at the size that it needs, and in full where a frame's image
            is used. None decodes them in full.
        devices: folder of the devices of webcams that are given by index.

    Raises:
        SettingError: width, height or fps for a source that is not a camera, or ``loop`` for one that is.
        SourceError: the source does not exist.
    """
    from device_apps.sources.http_camera import open_http
    from device_apps.sources.opencv import CameraRequest, open_camera, open_stream, open_video
    from device_apps.sources.picamera import open_picamera_process

    request = CameraRequest(width, height, fps)
    capture = partial(CaptureSource, retries=retries, timeouts=timeouts, stop=stop, on_frame=on_frame)
    spec = _normalize(spec)
    path = Path(spec)
    if loop and spec and (path.is_file() or path.is_dir()):
        reader = partial(LoopedReader, _file_opener(path, input_spec), spec, fps)
        if (width, height) != (None, None):
            raise SettingError(f"{spec}: width and height are options of cameras only")
        return capture(reader, spec)
    if loop and (_URL.fullmatch(spec) or path.exists() or spec == "picamera" or spec.isdigit()):
        raise SettingError(
            f"--loop: {redact_url(spec)} is not a file or folder, which alone can be repeated; leave out --loop"
        )
    webcam = (spec.isascii() and spec.isdigit()) or spec.startswith(("/dev/video", "/dev/v4l/"))
    if webcam:
        return capture(partial(open_camera, spec, request, devices, input_spec), f"camera {spec}")
    if spec == "picamera":
        # Another attempt is another process: when many have failed, only a restart of the whole may help.
        retries = _CSI_RETRIES if retries is None else retries
        return capture(partial(open_picamera_process, request, timeouts, input_spec), spec, retries=retries)
    if spec.startswith(("http://", "https://")) and (width, height) == (None, None):
        # Every error of it states its reason.
        return capture(partial(open_http, spec, timeouts, fps, input_spec), redact_url(spec))
    if request != CameraRequest():
        raise SettingError(f"{redact_url(spec)}: width, height and fps are options of cameras only")
    if _URL.fullmatch(spec):
        explain = partial(diagnose_stream, spec)
        return capture(partial(open_stream, spec, timeouts), redact_url(spec), explain=explain)
    images = partial(ImageFolderSource, name=spec, skip_unreadable=skip_unreadable, input_spec=input_spec)
    if spec and path.is_dir():
        return images(list_images(path))
    if not spec or not path.exists():
        shown = redact_url(spec)
        if _URL_WITHOUT_SCHEME.fullmatch(spec):
            shown = re.sub(r".*@", "***@", shown)
            raise SourceError(f"{shown}: no such file; a URL begins with http://, https:// or rtsp://")
        hint = missing_path_hint(spec) if spec and shown == spec else ""
        raise SourceError(
            f"{shown or repr(spec)}: no such source{hint}; give an image, a folder, a video, "
            "a camera (0, /dev/video0, picamera) or a URL"
        )
    if is_animation(path):
        return capture(partial(AnimationReader, path), spec)
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        return images([path])
    return capture(partial(open_video, path), spec)


def _file_opener(path: Path, input_spec: InputSpec | None) -> Callable[[], FrameReader]:
    """Return a function that opens a video, an animation, an image or a folder of images from its start."""
    from device_apps.sources.opencv import open_video

    if path.is_dir() or (path.suffix.lower() in IMAGE_SUFFIXES and not is_animation(path)):
        paths = list_images(path) if path.is_dir() else [path]
        return lambda: FolderReader(ImageFolderSource(paths, str(path), skip_unreadable=True, input_spec=input_spec))
    return partial(AnimationReader, path) if is_animation(path) else partial(open_video, path)


def _normalize(spec: str) -> str:
    """Return the path for "-" (standard input) or a file:// URL, and another URL with its scheme in lower case."""
    match = _URL.fullmatch(spec)
    if match is None:
        return "/dev/stdin" if spec == "-" else spec
    scheme = match["scheme"].lower()
    if scheme == "file":
        return unquote(urlsplit(spec).path)
    return scheme + spec[len(scheme) :]
