"""CSI cameras of a Raspberry Pi, read with picamera2, which is imported when a camera is opened.

``capture_array()`` of picamera2 has no time limit, and a camera that hangs in it is free only when its process has
ended: so the camera is read in a child process.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from device_apps.numpy_conflict import is_numpy_conflict, numpy_cause, numpy_remedy
from device_apps.sources.capture_process import ProcessReader
from device_apps.sources.frames import FrameReader, Image
from device_apps.sources.opencv import CameraRequest
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.errors import SourceError

__all__ = ["open_picamera", "open_picamera_process"]

_STALL_MARGIN_S = 0.25  # The watchdog notices a stall first, and logs it.
_DEFAULT_SIZE = (640, 480)  # (width, height), as in picamera2.


def open_picamera_process(request: CameraRequest, timeouts: CaptureTimeouts) -> FrameReader:
    """Start the first CSI camera in a child process; see :func:`open_picamera`. It is ended when the camera hangs."""
    return ProcessReader(
        partial(open_picamera, request),
        "picamera",
        open_seconds=timeouts.first_frame,
        read_seconds=timeouts.stall + _STALL_MARGIN_S,
    )


def open_picamera(request: CameraRequest) -> _PicameraReader:
    """Start the first CSI camera with these settings. Raises SourceError if picamera2 or the camera does not start."""
    try:
        from picamera2 import Picamera2  # type: ignore[import-not-found, unused-ignore]
    except (ImportError, ValueError) as error:
        if is_numpy_conflict(str(error)):
            raise SourceError(f"picamera: {numpy_cause('picamera2')} ({error}): {numpy_remedy()}") from None
        raise SourceError(
            f"picamera: picamera2 does not load ({error}): sudo apt install python3-picamera2, and make the "
            "virtual environment with --system-site-packages"
        ) from None
    try:
        return _PicameraReader(Picamera2(), request)
    except (RuntimeError, IndexError, OSError, ValueError) as error:
        raise SourceError(
            f"picamera: no camera can be started ({error}); check its cable, and run rpicam-hello --list-cameras"
        ) from None


class _PicameraReader:
    """An opened ``Picamera2``."""

    live = True
    time = None

    def __init__(self, camera: Any, request: CameraRequest) -> None:
        self.fps = request.fps
        self._camera = camera
        size = (request.width or _DEFAULT_SIZE[0], request.height or _DEFAULT_SIZE[1])
        controls = {} if request.fps is None else {"FrameRate": request.fps}
        try:
            # libcamera names formats by the little-endian word: the bytes of "BGR888" are R, G, B.
            camera.configure(
                camera.create_video_configuration(main={"size": size, "format": "BGR888"}, controls=controls)
            )
            camera.start()
        except BaseException:
            camera.close()
            raise

    def read(self) -> Image | None:
        try:
            image: Image = np.ascontiguousarray(self._camera.capture_array("main")[..., :3], np.uint8)
        except (RuntimeError, OSError):
            return None
        return image

    def close(self) -> None:
        self._camera.stop()
        self._camera.close()
