"""Sink that writes an annotated video, under a temporary name until it is complete."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import numpy as np

from device_apps.killed_recordings import keep_killed_recordings, lock_recording, unused_path
from device_apps.mp4_segments import SegmentedWriter
from device_apps.mp4_times import set_frame_durations
from device_apps.results import FrameResult
from device_apps.sinks import prepare_output_file
from device_apps.sources.frames import Image
from device_apps.sources.opencv import load_opencv
from device_apps.sources.utf8_path import utf8_path
from device_apps.sources.video_file import truncation_error
from edge_ssd.atomic_write import atomic_path
from edge_ssd.console.counts import count
from edge_ssd.errors import EdgeSSDError
from edge_ssd.runtime.native_messages import hide_native_messages

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["VideoWriter", "available_bytes", "holds_frames", "video_name"]

_log = logging.getLogger(__name__)

_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v", ".webm": "VP80"}
_LIVE_FPS = 15.0
_MAX_PAUSE_S = 2.0
_ROUNDING_MS = 2  # Time stamps of a recording are rounded.
# Space kept free to finish the file: frames not written yet, and the index, which is written last.
_RESERVED_FRAMES = 8
_INDEX_BYTES = 64  # Per frame; the maximum of the containers.


def available_bytes(folder: Path, size: int) -> int:
    """Return how many bytes a file of ``size`` bytes in ``folder`` can grow: free space, limited by RLIMIT_FSIZE."""
    free = shutil.disk_usage(folder).free
    limit = -1 if resource is None else resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return free if limit < 0 else min(free, limit - size)


def holds_frames(path: Path) -> bool:
    """Return whether a video, which may not be complete, has a frame that can be decoded."""
    with utf8_path(path) as name, hide_native_messages(b"["):
        capture = load_opencv().VideoCapture(name)
        found = bool(capture.isOpened() and capture.grab())
        capture.release()
    return found


class VideoWriter:
    """Sink that writes each annotated frame to a video; a context manager, which finishes the file.

    The first frame sets the size; frames of another size are scaled to fit. An MP4 file has each frame once, with its
    time: that of a live source plays in real time, that of a recording as fast as this. In other files, which OpenCV
    writes at a constant rate, frames of a live source are repeated or dropped according to their capture times. Pauses
    of a live source are cut to two seconds. After an EdgeSSDError the file is finished; after another exception none
    remains. What a killed process recorded is kept under the next free name, when the next recording begins: of an MP4
    file all but the last second.

    Before the disk is full the video is finished, while there is space for it, and :class:`EdgeSSDError` is raised.
    Later frames go to another video, "name-2.mp4" and so on, when there is space again; until then each write raises.

    Args:
        path: ends in .mp4, .avi, .mkv, or .webm, which every browser plays and takes several times as long to encode.
        fps: frames per second of the video; None for 15.
        live: whether the source is live; of a recording each frame is written once.
        free_bytes: function such as :func:`available_bytes`.
    """

    finished = False

    def __init__(
        self, path: Path, fps: float | None, *, live: bool, free_bytes: Callable[[Path, int], int] = available_bytes
    ) -> None:
        prepare_output_file(path, _CODECS, "video")
        keep_killed_recordings(path)
        self._cv2 = load_opencv()
        self._path = path
        self._next_path = path
        self._fps = fps or _LIVE_FPS
        self._live = live
        self._free_bytes = free_bytes
        self._video: _Video | None = None
        self._size_logged = False
        # Images of a folder have no frame rate, and no times for a video.
        self._timed = path.suffix.lower() == ".mp4" and (live or fps is not None)
        self._last_at = 0.0
        self._frames_due = 0.0  # Frames that the capture times require and that are not written yet.

    def write(self, result: FrameResult) -> None:
        image, frame = result.annotated, result.frame
        self._check_space(image)
        copies = 1
        at = frame.captured_at if self._live else frame.stream_time
        seconds = max(0.0, at - self._last_at)
        if self._video is None:
            self._video = _Video(self._cv2, self._next_path, self._fps, image)
        elif self._timed and (self._live or frame.time is not None):
            self._video.add_time(min(seconds, _MAX_PAUSE_S) if self._live else seconds)
        elif self._live:
            self._frames_due += min(seconds, _MAX_PAUSE_S) * self._fps
            copies = max(0, round(self._frames_due))
            self._frames_due -= copies
        self._last_at = at
        if self._video.write(image, copies) and not self._size_logged:
            self._size_logged = True
            rows, columns = image.shape[:2]
            size = "{}×{}".format(*self._video.size)
            _log.warning("%s: frames of %d×%d are scaled to fit the video of %s", self._path, columns, rows, size)

    def idle(self) -> None:
        """Write what has waited for about a second to the disk."""
        if self._video is not None:
            self._video.idle()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A known error, of another output, takes nothing from what was recorded.
        self._finish(None if isinstance(error, EdgeSSDError) else error)

    def _check_space(self, image: Image) -> None:
        """Finish the video and raise EdgeSSDError when the disk is nearly full; starting one needs twice the space."""
        if self._video is None:
            free, needed = self._free_bytes(self._path.parent, 0), 2 * _RESERVED_FRAMES * image.nbytes
        else:
            free = self._free_bytes(self._path.parent, self._video.temporary.stat().st_size)
            needed = _RESERVED_FRAMES * image.nbytes + _INDEX_BYTES * self._video.written + self._video.pending_bytes
        if free >= needed:
            return
        if self._video is None:
            raise EdgeSSDError(
                f"{self._path}: not enough disk space to record: {free / 1e6:.1f} MB free, {needed / 1e6:.1f} MB needed"
            ) from _disk_full()
        path, frames = self._next_path, self._video.written
        self._finish(None)
        self._next_path, self._frames_due = unused_path(self._path), 0.0
        raise EdgeSSDError(
            f"{path}: the disk is nearly full, so this video ends after {count(frames, 'frame')}"
        ) from _disk_full()

    def _finish(self, error: BaseException | None) -> None:
        video, self._video = self._video, None
        if video is not None:
            video.finish(error)


class _Video:
    """One video file that is being written.

    Attributes:
        written: number of frames.
        size: (width, height).
        temporary: path of the file until it is complete.
    """

    def __init__(self, cv2: ModuleType, path: Path, fps: float, image: Image) -> None:
        self._cv2 = cv2
        self._path = path
        self._fps = fps
        self._stack = ExitStack()
        self.written = 0
        self._milliseconds = array("I")  # For which each frame but the last is shown; empty for the constant rate.
        self._seconds, self._shown_ms = 0.0, 0  # Their sum, exact and rounded.
        self._constant = True
        # (width, height), as in OpenCV; even, because the codecs store color at half the resolution.
        self.size = (max(2, image.shape[1] // 2 * 2), max(2, image.shape[0] // 2 * 2))
        self.temporary = self._stack.enter_context(atomic_path(path))
        codec = cv2.VideoWriter.fourcc(*_CODECS[path.suffix.lower()])
        self._segments: SegmentedWriter | None = None
        self._writer: Any = None
        if path.suffix.lower() == ".mp4":
            self._writer = self._segments = SegmentedWriter(
                cv2, self.temporary, codec, fps, self.size, lock=lock_recording
            )
        else:
            self._open_plain(codec)
        if not self._writer.isOpened():
            self.finish(RuntimeError())
            raise EdgeSSDError(f"{path}: OpenCV cannot write this video format here; try a name ending in .avi")

    def write(self, image: Image, copies: int) -> bool:
        """Append an image ``copies`` times; return whether it was scaled."""
        fitted, scaled = self._fit(image)
        bgr = self._cv2.cvtColor(fitted, self._cv2.COLOR_RGB2BGR)
        for _ in range(copies):
            if self._segments is None:
                self._writer.write(bgr)
            else:
                self._write_segment(self._segments, bgr)
            self.written += 1
        return scaled

    @property
    def pending_bytes(self) -> int:
        """Bytes that are on the disk and must be copied."""
        return 0 if self._segments is None else self._segments.pending_bytes

    def idle(self) -> None:
        """Append what has waited for about a second to an MP4 file."""
        if self._segments is not None:
            with self._reporting_incomplete():
                self._segments.idle()

    def _open_plain(self, codec: int) -> None:
        with utf8_path(self.temporary) as name, hide_native_messages(b"OpenCV: FFMPEG: tag 0x"):
            self._writer = self._cv2.VideoWriter(name, codec, self._fps, self.size)
        if self._writer.isOpened() and self.temporary.exists():
            lock_recording(self._stack.enter_context(self.temporary.open("rb")))

    def _write_segment(self, segments: SegmentedWriter, bgr: Image) -> None:
        timed = len(self._milliseconds) == self.written > 0
        try:
            with self._reporting_incomplete():
                segments.write(bgr, self._shown_ms if timed else None)
        except EdgeSSDError as error:
            if self.written:
                raise
            _log.warning(
                "%s: cannot be played before it is finished, if this process is killed: %s", self._path, error.__cause__
            )
            segments.abandon()
            self._segments = None
            self._open_plain(self._cv2.VideoWriter.fourcc(*_CODECS[".mp4"]))
            self._writer.write(bgr)

    @contextlib.contextmanager
    def _reporting_incomplete(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:  # OpenCV's writer reports no error on a full disk.
            raise EdgeSSDError(f"{self._path}: the video is incomplete; is the disk full?") from _disk_full(error)

    def add_time(self, seconds: float) -> None:
        """Set the time between the last frame that was written and the next one."""
        self._seconds += seconds
        duration = max(1, round(1000 * self._seconds) - self._shown_ms)
        self._shown_ms += duration
        self._milliseconds.append(duration)
        self._constant &= abs(self._shown_ms - 1000 * self.written / self._fps) <= _ROUNDING_MS

    def finish(self, error: BaseException | None) -> None:
        """Close and rename the file, or remove it after an error or if it is incomplete."""
        try:
            if error is not None and self._segments is not None:
                self._segments.abandon()
            else:
                with self._reporting_incomplete():
                    self._writer.release()
            if error is None:
                self._check()
                self._set_times()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.__exit__(None if error is None else type(error), error, None)

    def _set_times(self) -> None:
        """Replace the constant rate of an MP4 file by the times of its frames, unless they agree."""
        if self._constant or len(self._milliseconds) != self.written - 1:
            return
        milliseconds = self._milliseconds + self._milliseconds[-1:]  # The last frame as long as the one before.
        try:
            set_frame_durations(self.temporary, milliseconds)
        except ValueError as error:
            _log.warning("%s: plays at %g frames per second, not in real time: %s", self._path, self._fps, error)

    def _fit(self, image: Image) -> tuple[Image, bool]:
        """Return the image at the size of the video, cropped by a row or column, or scaled with bars; and if scaled."""
        width, height = self.size
        rows, columns = image.shape[:2]
        if rows in (height, height + 1) and columns in (width, width + 1):
            return np.ascontiguousarray(image[:height, :width]), False
        ratio = min(width / columns, height / rows)
        inner = max(1, round(columns * ratio)), max(1, round(rows * ratio))
        content = self._cv2.resize(image, inner, interpolation=self._cv2.INTER_AREA)
        canvas = np.zeros((height, width, 3), np.uint8)
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas[top : top + inner[1], left : left + inner[0]] = content
        return canvas, True

    def _check(self) -> None:
        """Raise EdgeSSDError unless the file opens and is complete: OpenCV's writer reports no error on a full disk."""
        with utf8_path(self.temporary) as name:
            capture = self._cv2.VideoCapture(name)
        try:
            readable = capture.isOpened() and capture.grab()
            # The count in the container, from the index that is written last; some round it from seconds.
            complete = capture.get(self._cv2.CAP_PROP_FRAME_COUNT) >= self.written - 1
        finally:
            capture.release()
        if not readable or not complete or truncation_error(self.temporary) is not None:
            raise EdgeSSDError(f"{self._path}: the video is incomplete; is the disk full?") from _disk_full()


def _disk_full(reason: Exception | None = None) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC) if reason is None else str(reason))


def video_name(source: str) -> str:
    """Return the file name for the annotated video of ``source``, a path: its own, plus .mp4 if not writable."""
    name = Path(source).name
    return name if Path(name).suffix.lower() in _CODECS else f"{name}.mp4"
