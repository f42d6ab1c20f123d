"""An annotated video, written beside its name and renamed when it is whole."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from device_apps.frames import Image, Notice
from device_apps.loop import Result
from device_apps.opencv import load_opencv
from device_apps.sinks import check_file
from device_apps.video_file import why_incomplete
from edge_ssd.errors import EdgeSSDError
from edge_ssd.files import atomic_path

__all__ = ["VideoWriter", "video_name"]

_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
_LIVE_FPS = 15.0
_LONGEST_PAUSE_S = 2.0


class VideoWriter:
    """A sink that writes each annotated frame to a video; a context manager, since it must be finished.

    The first frame gives the size; frames of another size are fitted into it. A live source's frames come when
    they come, so each is repeated or left out as its capture time says: the video plays at the speed of life,
    except that pauses of over two seconds are cut. Left by an error, no file remains.

    Args:
        path: ends in .mp4, .avi or .mkv.
        fps: frames a second of the video; None takes 15.
        live: whether frames are placed by their capture times.
        notice: is told once when the size of the frames changes.
    """

    finished = False

    def __init__(self, path: Path, fps: float | None, *, live: bool, notice: Notice = lambda line: None) -> None:
        check_file(path, _CODECS, "video; end the name in .mp4, .avi or .mkv")
        self._cv2 = load_opencv()
        self._path = path
        self._fps = fps or _LIVE_FPS
        self._live = live
        self._notice = notice
        self._stack = ExitStack()
        self._writer: Any = None
        self._temporary: Path | None = None
        self._written = 0
        self._size = (0, 0)  # (width, height), as OpenCV counts
        self._refitted = False
        self._last_at = 0.0
        self._owed = 0.0  # Frames of video that the clock has asked for and that are not written yet.

    def write(self, result: Result) -> None:
        image, at = result.annotated, result.frame.captured_at
        copies = 1
        if self._writer is None:
            self._open(image)
        elif self._live:
            self._owed += min(at - self._last_at, _LONGEST_PAUSE_S) * self._fps
            copies = max(0, round(self._owed))
            self._owed -= copies
        self._last_at = at
        picture = self._cv2.cvtColor(self._fit(image), self._cv2.COLOR_RGB2BGR)
        for _ in range(copies):
            self._writer.write(picture)
        self._written += copies

    def idle(self) -> None:
        """Nothing to do."""

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._writer is not None:
                self._writer.release()
                if error is None:
                    self._check()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._stack.__exit__(kind, error, trace)

    def _open(self, image: Image) -> None:
        cv2 = self._cv2
        # The codecs store colour at half size, so sides must be even.
        self._size = (max(2, image.shape[1] // 2 * 2), max(2, image.shape[0] // 2 * 2))
        self._temporary = self._stack.enter_context(atomic_path(self._path))
        codec = cv2.VideoWriter.fourcc(*_CODECS[self._path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._temporary), codec, self._fps, self._size)
        if not self._writer.isOpened():
            raise EdgeSSDError(f"{self._path}: OpenCV cannot write this kind of video here; try a name ending in .avi")

    def _fit(self, image: Image) -> Image:
        """The image at the video's size: as it is, a row or column less, or shrunk or grown between black bars."""
        width, height = self._size
        rows, columns = image.shape[:2]
        if rows in (height, height + 1) and columns in (width, width + 1):
            return np.ascontiguousarray(image[:height, :width])
        if not self._refitted:
            self._refitted = True
            self._notice(f"{self._path}: frames of {columns}×{rows} are fitted into a video of {width}×{height}")
        ratio = min(width / columns, height / rows)
        inner = max(1, round(columns * ratio)), max(1, round(rows * ratio))
        content = self._cv2.resize(image, inner, interpolation=self._cv2.INTER_AREA)
        canvas = np.zeros((height, width, 3), np.uint8)
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas[top : top + inner[1], left : left + inner[0]] = content
        return canvas

    def _check(self) -> None:
        """OpenCV's writer says nothing when a disk is full: see whether the file opens again and is all there."""
        assert self._temporary is not None
        capture = self._cv2.VideoCapture(str(self._temporary))
        try:
            usable = capture.isOpened() and capture.grab()
            # The container's own count, from an index written last; rounded from seconds in some.
            counted = capture.get(self._cv2.CAP_PROP_FRAME_COUNT) >= self._written - 1
        finally:
            capture.release()
        if not usable or not counted or why_incomplete(self._temporary) is not None:
            raise EdgeSSDError(f"{self._path}: the video was not written whole; is the disk full?")


def video_name(source: str) -> str:
    """The name of a source's annotated video: its own where that can be written, else with .mp4 behind it."""
    name = Path(source).name
    return name if Path(name).suffix.lower() in _CODECS else f"{name}.mp4"
