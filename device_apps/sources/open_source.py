"""From what a user names as ``--source`` to a source of frames.

0, 1, …                    a webcam by its index          live: the newest frame only
/dev/video0                a webcam by its device         live
picamera                   a Raspberry Pi's CSI camera    live
http://…, rtsp://…         a stream                       live (a video file behind http: every frame)
a folder                   its pictures, by name          every one
a picture                                                 that one
any other file             a video                        every frame, in order
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from device_apps.sources.capture import STALL_TIMEOUT_S, CaptureSource
from device_apps.sources.frames import Frame, Image, OnMessage, Source
from device_apps.sources.grabbing import FrameReader
from device_apps.sources.image_folder import PICTURE_SUFFIXES, ImageFolderSource, list_images
from device_apps.sources.stream_url import diagnose_stream, redact_url
from edge_ssd.errors import SettingError, SourceError

__all__ = ["Frame", "Image", "Source", "open_source"]


def open_source(
    spec: str,
    *,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    retries: int | None = None,
    stall_timeout: float = STALL_TIMEOUT_S,
    stop: threading.Event | None = None,
    notice: OnMessage = lambda line: None,
    unreadable: OnMessage | None = None,
) -> Source:
    """A source, to be entered with ``with``; what is a device, stream or video opens there, not here.

    Args:
        spec: see the table above.
        width, height, fps: what a camera is asked for.
        retries: attempts to get a lost camera or stream back; None means for ever.
        stall_timeout: seconds without a frame after which a camera or stream is opened anew.
        stop: entering and waiting end soon after this is set.
        notice: is told what a person should know: a lost stream, a size that the camera does not have.
        unreadable: is told of each picture that cannot be read, and the rest of the folder goes on;
            None raises :class:`~edge_ssd.errors.ImageError` instead.

    Raises:
        SettingError: something was asked of a source that is no camera.
        SourceError: the source is not there; naming it, what is there, and what to do.
    """
    from device_apps.sources.opencv import CameraRequest, open_camera, open_stream, open_video
    from device_apps.sources.picamera import open_picamera

    def say(line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # A terminal or log that has gone is no reason to lose a camera.
            notice(line)

    request = CameraRequest(width, height, fps)
    path = Path(spec)
    camera = spec == "picamera" or (spec.isascii() and spec.isdigit()) or spec.startswith(("/dev/video", "/dev/v4l/"))
    if not camera and request != CameraRequest():
        raise SettingError(f"{redact_url(spec)}: only cameras can be asked for a width, height or fps")
    open_grabber: Callable[[], FrameReader]
    explain: Callable[[], str] | None = None
    if re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*://.*", spec):
        name, open_grabber = redact_url(spec), partial(open_stream, spec, stall_timeout)
        explain = partial(diagnose_stream, spec)
    elif spec == "picamera":
        name, open_grabber = spec, partial(open_picamera, request)
    elif camera:
        name, open_grabber = f"camera {spec}", partial(open_camera, spec, request, say)
    elif spec and path.is_dir():
        return ImageFolderSource(list_images(path), spec, unreadable)
    elif not spec or not path.exists():
        raise SourceError(
            f"{spec or repr(spec)}: no such source; give a picture, a folder, a video, "
            "a camera (0, /dev/video0, picamera) or a URL"
        )
    elif path.suffix.lower() in PICTURE_SUFFIXES:
        return ImageFolderSource([path], spec, unreadable)
    else:
        name, open_grabber = spec, partial(open_video, path)
    return CaptureSource(
        open_grabber,
        name,
        retries=retries,
        stall_timeout=stall_timeout,
        explain=explain,
        stop=stop,
        notice=say,
    )
