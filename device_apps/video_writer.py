"""An annotated video, written beside its name and renamed when it is whole."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType, TracebackType

import numpy as np

from device_apps.results import FrameResult
from device_apps.sinks import check_file
from device_apps.sources.frames import Image, OnMessage
from device_apps.sources.opencv import load_opencv
from device_apps.sources.video_file import truncation_error
from edge_ssd.errors import EdgeSSDError
from edge_ssd.files import atomic_path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["VideoWriter", "available_bytes", "video_name"]

_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
_LIVE_FPS = 15.0
_LONGEST_PAUSE_S = 2.0
# Room that is kept free, to finish the file in: some pictures that are under way, and its index, written last.
_RESERVED_PICTURES = 8
_INDEX_BYTES = 64  # a frame; the most that any of the containers takes


class VideoWriter:
    """A sink that writes each annotated frame to a video; a context manager, since it must be finished.

    The first frame gives the size; frames of another size are fitted into it. A live source's frames come when
    they come, so each is repeated or left out as its capture time says: the video plays at the speed of life,
    except that pauses of over two seconds are cut. Left by an error, no unfinished file remains.

    Before the disk is full the video is finished, while there is room for it, and :class:`EdgeSSDError` raised. Later
    frames go to another video, "name-2.mp4" and so on, once there is room again; until then each raises.

    Args:
        path: ends in .mp4, .avi or .mkv.
        fps: frames a second of the video; None takes 15.
        live: whether frames are placed by their capture times.
        notice: is told once when the size of the frames changes.
    """

    finished = False

    def __init__(self, path: Path, fps: float | None, *, live: bool, notice: OnMessage = lambda line: None) -> None:
        check_file(path, _CODECS, "video; end the name in .mp4, .avi or .mkv")
        self._cv2 = load_opencv()
        self._path = path
        self._name = path  # Of the video that is written next.
        self._fps = fps or _LIVE_FPS
        self._live = live
        self._notice = notice
        self._video: _Video | None = None
        self._refitted = False
        self._last_at = 0.0
        self._owed = 0.0  # Frames of video that the clock has asked for and that are not written yet.

    def write(self, result: FrameResult) -> None:
        image, at = result.annotated, result.frame.captured_at
        self._look_for_room(image)
        copies = 1
        if self._video is None:
            self._video = _Video(self._cv2, self._name, self._fps, image)
        elif self._live:
            self._owed += min(at - self._last_at, _LONGEST_PAUSE_S) * self._fps
            copies = max(0, round(self._owed))
            self._owed -= copies
        self._last_at = at
        if self._video.write(image, copies) and not self._refitted:
            self._refitted = True
            rows, columns = image.shape[:2]
            width, height = self._video.size
            self._notice(f"{self._path}: frames of {columns}×{rows} are fitted into a video of {width}×{height}")

    def idle(self) -> None:
        """Nothing to do."""

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish(error)

    def _look_for_room(self, image: Image) -> None:
        """Raise, with the video finished, when the disk is nearly full; twice as much is wanted to begin with."""
        if self._video is None:
            room, wanted = available_bytes(self._path.parent, 0), 2 * _RESERVED_PICTURES * image.nbytes
        else:
            room = available_bytes(self._path.parent, self._video.temporary.stat().st_size)
            wanted = _RESERVED_PICTURES * image.nbytes + _INDEX_BYTES * self._video.written
        if room >= wanted:
            return
        full = _full()
        if self._video is None:
            raise EdgeSSDError(
                f"{self._path}: no room on the disk to record: {room / 1e6:.1f} MB free, {wanted / 1e6:.1f} MB wanted"
            ) from full
        written, name = self._video.written, self._name
        self._finish(None)
        self._name, self._owed = _free_name(self._path), 0.0
        raise EdgeSSDError(f"{name}: the disk is nearly full, so this video ends after {written} frames") from full

    def _finish(self, error: BaseException | None) -> None:
        video, self._video = self._video, None
        if video is not None:
            video.finish(error)


class _Video:
    """One file that is being written."""

    def __init__(self, cv2: ModuleType, path: Path, fps: float, image: Image) -> None:
        self._cv2 = cv2
        self._path = path
        self._stack = ExitStack()
        self.written = 0
        # (width, height), as OpenCV counts. The codecs store colour at half size, so sides must be even.
        self.size = (max(2, image.shape[1] // 2 * 2), max(2, image.shape[0] // 2 * 2))
        self.temporary = self._stack.enter_context(atomic_path(path))
        codec = cv2.VideoWriter.fourcc(*_CODECS[path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self.temporary), codec, fps, self.size)
        if not self._writer.isOpened():
            self.finish(RuntimeError())
            raise EdgeSSDError(f"{path}: OpenCV cannot write this kind of video here; try a name ending in .avi")

    def write(self, image: Image, copies: int) -> bool:
        """Append an image so many times; returns whether it had to be fitted in."""
        fitted, refitted = self._fit(image)
        picture = self._cv2.cvtColor(fitted, self._cv2.COLOR_RGB2BGR)
        for _ in range(copies):
            self._writer.write(picture)
        self.written += copies
        return refitted

    def finish(self, error: BaseException | None) -> None:
        """Close the file and give it its name, or remove it where there is an error, or where it is not whole."""
        try:
            self._writer.release()
            if error is None:
                self._check()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.__exit__(None if error is None else type(error), error, None)

    def _fit(self, image: Image) -> tuple[Image, bool]:
        """The image at the video's size: as it is, a row or column less, or shrunk or grown between black bars."""
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
        """OpenCV's writer says nothing when a disk is full: see whether the file opens again and is all there."""
        capture = self._cv2.VideoCapture(str(self.temporary))
        try:
            usable = capture.isOpened() and capture.grab()
            # The container's own count, from an index written last; rounded from seconds in some.
            counted = capture.get(self._cv2.CAP_PROP_FRAME_COUNT) >= self.written - 1
        finally:
            capture.release()
        if not usable or not counted or truncation_error(self.temporary) is not None:
            raise EdgeSSDError(f"{self._path}: the video was not written whole; is the disk full?") from _full()


def available_bytes(folder: Path, size: int) -> int:
    """Bytes that a file of ``size`` bytes in this folder can grow by: what is free, and what the process may."""
    free = shutil.disk_usage(folder).free
    limit = -1 if resource is None else resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return free if limit < 0 else min(free, limit - size)


def _full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _free_name(path: Path) -> Path:
    """For "seen.mp4": "seen-2.mp4", or the first number after that which is not taken."""
    return next(name for number in itertools.count(2) if not (name := path.with_stem(f"{path.stem}-{number}")).exists())


def video_name(source: str) -> str:
    """The name of a source's annotated video: its own where that can be written, else with .mp4 behind it."""
    name = Path(source).name
    return name if Path(name).suffix.lower() in _CODECS else f"{name}.mp4"
