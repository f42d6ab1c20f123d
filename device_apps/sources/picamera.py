"""CSI cameras of a Raspberry Pi, read with picamera2, which is imported when a camera is opened.

``capture_array()`` of picamera2 has no time limit, and a camera that hangs in it is free only when its process has
ended: so the camera is read in a child process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from device_apps.numpy_conflict import is_numpy_conflict, numpy_cause, numpy_remedy
from device_apps.sources.capture_process import ProcessReader
from device_apps.sources.deferred_image import DeferredImage
from device_apps.sources.frames import FrameReader, Image
from device_apps.sources.opencv import CameraRequest
from device_apps.sources.timeouts import CaptureTimeouts
from device_apps.sources.yuv420 import yuv420_to_rgb
from edge_ssd.errors import SourceError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import whole_halvings

__all__ = ["open_picamera", "open_picamera_process"]

_log = logging.getLogger(__name__)

_STALL_MARGIN_S = 0.25  # The watchdog notices a stall first, and logs it.
_DEFAULT_SIZE = (640, 480)  # (width, height), as in picamera2.


def open_picamera_process(
    request: CameraRequest, timeouts: CaptureTimeouts, input_spec: InputSpec | None = None
) -> FrameReader:
    """Start the first CSI camera in a child process; see :func:`open_picamera`. It is ended when the camera hangs."""
    return ProcessReader(
        partial(open_picamera, request, input_spec),
        "picamera",
        open_seconds=timeouts.first_frame,
        read_seconds=timeouts.stall + _STALL_MARGIN_S,
    )


def open_picamera(request: CameraRequest, input_spec: InputSpec | None = None) -> _PicameraReader:
    """Start the first CSI camera with these settings.

    The camera is asked for a second stream that is as small as the network of ``input_spec`` allows. Raises SourceError
    if picamera2 or the camera does not start.
    """
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
        return _PicameraReader(Picamera2(), request, input_spec)
    except (RuntimeError, IndexError, OSError, ValueError) as error:
        raise SourceError(
            f"picamera: no camera can be started ({error}); check its cable, and run rpicam-hello --list-cameras"
        ) from None


class _PicameraReader:
    """An opened ``Picamera2``."""

    live = True
    time = None
    _small_size: tuple[int, ...] | None

    def __init__(self, camera: Any, request: CameraRequest, input_spec: InputSpec | None) -> None:
        self.fps = request.fps
        self._camera = camera
        size = (request.width or _DEFAULT_SIZE[0], request.height or _DEFAULT_SIZE[1])
        controls = {} if request.fps is None else {"FrameRate": request.fps}
        # libcamera names formats by the little-endian word: the bytes of "BGR888" are R, G, B.
        configure = partial(self._configure, main={"size": size, "format": "BGR888"}, controls=controls)
        try:
            self._small_size = _configure_small(configure, size, input_spec)
            if self._small_size is None:
                configure()
            else:
                self._small_size = tuple(camera.camera_configuration()["lores"]["size"])  # Cameras align it.
            camera.start()
        except BaseException:
            camera.close()
            raise

    def _configure(self, **options: Any) -> None:
        self._camera.configure(self._camera.create_video_configuration(**options))

    def read(self) -> Image | DeferredImage | None:
        try:
            if self._small_size is None:
                image: Image = np.asarray(self._camera.capture_array("main")[..., :3], np.uint8)
                return image
            (image, planes), _ = self._camera.capture_arrays(["main", "lores"])  # Of the same frame.
        except (RuntimeError, OSError):
            return None
        pixels = yuv420_to_rgb(planes, self._small_size)
        return DeferredImage(pixels, image.shape[:2], lambda: image[..., :3])

    def close(self) -> None:
        self._camera.stop()
        self._camera.close()


def _configure_small(
    configure: Callable[..., None], size: tuple[int, int], input_spec: InputSpec | None
) -> tuple[int, ...] | None:
    """Configure a second, small stream; return its (width, height), or None where it is not possible or no use."""
    halvings = 0 if input_spec is None else whole_halvings(size[::-1], input_spec)
    if halvings == 0:
        return None
    small = (size[0] >> halvings & ~1, size[1] >> halvings & ~1)
    try:
        from libcamera import ColorSpace  # type: ignore[import-not-found, unused-ignore]

        # YUV420 is the format that all boards have for it; sYCC is JPEG's, which Pillow converts.
        configure(lores={"size": small, "format": "YUV420"}, colour_space=ColorSpace.Sycc())
    except (ImportError, AttributeError, RuntimeError, ValueError, TypeError) as error:
        _log.debug("picamera: no second stream of %d×%d (%s)", *small, error)
        return None
    return small
