"""Recordings and images as a live source that begins again at its end, to try what needs a camera."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from device_apps.sources.deferred_image import DeferredImage, Image
from device_apps.sources.frames import FrameReader
from device_apps.sources.image_folder import ImageFolderSource
from edge_ssd.errors import SourceError

__all__ = ["FolderReader", "LoopedReader"]

_log = logging.getLogger(__name__)

_DEFAULT_FPS = 25.0
_FOLDER_FPS = 2.0  # As URLs of single images are asked.
_MAX_PAUSE_S = 1.0  # A recording may pause for hours.


class LoopedReader:
    """Reader of a recording at its own speed, again and again; see :class:`~device_apps.sources.frames.FrameReader`.

    Args:
        open_reader: opens the recording from its start.
        fps: frames per second; None for the times of the recording.
    """

    live = True
    time = None
    max_interval = 3 * _MAX_PAUSE_S

    def __init__(self, open_reader: Callable[[], FrameReader], name: str, fps: float | None = None) -> None:
        self._open_reader = open_reader
        self._name = name
        self._reader = open_reader()
        self.fps = fps or self._reader.fps
        self._interval = 1 / (self.fps or _DEFAULT_FPS)
        self._fixed = fps is not None
        self._last_time: float | None = None  # Of the recording.
        self._due = time.monotonic()
        self._damage_logged = False

    def read(self) -> Image | DeferredImage | None:
        image = self._read()
        if image is None:
            self._reader.close()
            self._reader = self._open_reader()
            self._last_time = None
            image = self._read()
        self._wait()
        return image

    def close(self) -> None:
        self._reader.close()

    def _read(self) -> Image | DeferredImage | None:
        """Return the next frame, or None at the end; a damaged end, which is logged, is the end too."""
        try:
            return self._reader.read()
        except SourceError as error:
            if self._last_time is None:  # Not even its first frame.
                raise
            if not self._damage_logged:
                self._damage_logged = True
                _log.warning("%s; beginning again there", error)
            return None

    def _wait(self) -> None:
        """Wait until the frame that was read is due."""
        now, position = time.monotonic(), self._reader.time
        pause = self._interval
        if not self._fixed and position is not None and self._last_time is not None:
            pause = position - self._last_time
        self._last_time = position or 0.0
        self._due = max(self._due + min(max(pause, 0.0), _MAX_PAUSE_S), now - _MAX_PAUSE_S)
        time.sleep(max(0.0, self._due - now))


class FolderReader:
    """Reader of the images of a source, once; see :class:`~device_apps.sources.frames.FrameReader`."""

    live = False
    fps: float | None = _FOLDER_FPS
    time: float | None = None

    def __init__(self, source: ImageFolderSource) -> None:
        self._source = source

    def read(self) -> Image | DeferredImage | None:
        while not self._source.ended:
            frame = self._source.read(0.0)
            if frame is not None:
                return frame.captured
        return None

    def close(self) -> None:
        self._source.__exit__()
