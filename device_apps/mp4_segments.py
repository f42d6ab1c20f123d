"""Encoder of MP4 videos whose last second is all that a killed process loses.

OpenCV writes the index of an MP4 file at its end. So each second is encoded to a file of its own, which is appended to
the recording as a fragment and deleted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from device_apps.mp4_fragments import FragmentedMp4
from device_apps.sources.frames import Image
from device_apps.sources.utf8_path import utf8_path

__all__ = ["SegmentedWriter"]

_SEGMENT_SECONDS = 0.8


class SegmentedWriter:
    """Writer like ``cv2.VideoWriter``, of one MP4 file.

    Args:
        path: of the file.
        codec, fps, size: as of ``cv2.VideoWriter``.
        lock: called with the open file.
    """

    def __init__(
        self,
        cv2: ModuleType,
        path: Path,
        codec: int,
        fps: float,
        size: tuple[int, int],
        *,
        lock: Callable[[Any], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cv2 = cv2
        self._codec = codec
        self._fps = fps
        self._size = size
        self._clock = clock
        self._path = path.with_name(f"{path.stem}.part{path.suffix}")
        self._file = path.open("wb+", buffering=0)
        lock(self._file)
        self._fragments = FragmentedMp4(self._file)
        self._writer: Any = None
        self._starts_ms: list[int] = []
        self._began = 0.0
        self._written = 0

    @property
    def pending_bytes(self) -> int:
        """Size of the segment that is not appended yet, as far as it is on the disk."""
        return self._path.stat().st_size if self._writer is not None and self._path.exists() else 0

    def isOpened(self) -> bool:
        """Return whether OpenCV can write such a file; its first segment is then open."""
        if self._writer is None:
            with utf8_path(self._path) as name:
                self._writer = self._cv2.VideoWriter(name, self._codec, self._fps, self._size)
            self._began = self._clock()
        opened: bool = self._writer.isOpened()
        return opened

    def write(self, bgr: Image, start_ms: int | None = None) -> None:
        """Append an image that is shown from ``start_ms``; None for the constant rate.

        Raises:
            ValueError: the segment before is not as expected; OSError: it cannot be appended.
        """
        self.idle()
        self.isOpened()
        self._writer.write(bgr)
        self._starts_ms.append(round(1000 * self._written / self._fps) if start_ms is None else start_ms)
        self._written += 1
        if self._written == 1:  # If that cannot be appended, there is time for another format.
            self._append()

    def idle(self) -> None:
        """Append the segment, if it is old enough."""
        if self._starts_ms and self._clock() - self._began >= _SEGMENT_SECONDS:
            self._append()

    def release(self) -> None:
        """Append the last segment and write the index."""
        try:
            self._append()
            self._fragments.finish()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the files as they are."""
        if self._writer is not None:
            self._writer.release()
            self._writer = None
        self._path.unlink(missing_ok=True)
        self._file.close()

    def _append(self) -> None:
        starts, self._starts_ms = self._starts_ms, []
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        try:
            if starts:
                self._fragments.append(self._path, starts)
        finally:
            self._path.unlink(missing_ok=True)
