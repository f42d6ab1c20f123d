"""The Raspberry Pi's own (CSI) cameras, through picamera2. Loaded only when one is opened."""

from __future__ import annotations

from typing import Any

import numpy as np

from device_apps.sources.frames import Image
from device_apps.sources.opencv import CameraRequest
from edge_ssd.errors import SourceError

__all__ = ["open_picamera"]

_DEFAULT_SIZE = (640, 480)  # (width, height), as picamera2 counts.


def open_picamera(request: CameraRequest) -> _Grabber:
    """Start the first CSI camera. Raises :class:`SourceError` without picamera2 or without a camera."""
    try:
        from picamera2 import Picamera2  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise SourceError(
            f"picamera: picamera2 does not load ({error}): sudo apt install python3-picamera2, and make the "
            "virtual environment with --system-site-packages"
        ) from None
    try:
        return _Grabber(Picamera2(), request)
    except (RuntimeError, IndexError, OSError) as error:
        raise SourceError(
            f"picamera: no camera can be started ({error}); check its cable, and what rpicam-hello --list-cameras says"
        ) from None


class _Grabber:
    live = True

    def __init__(self, camera: Any, request: CameraRequest) -> None:
        self.fps = request.fps
        self._camera = camera
        size = (request.width or _DEFAULT_SIZE[0], request.height or _DEFAULT_SIZE[1])
        controls = {} if request.fps is None else {"FrameRate": request.fps}
        try:
            # libcamera names formats by the little-endian word: its "BGR888" lies in memory as R, G, B.
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
