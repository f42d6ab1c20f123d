"""Sink that records a clip while objects are present, with the seconds before they entered."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import threading
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timezone
from pathlib import Path

from device_apps.daemon_thread import DaemonThread
from device_apps.event_clips.frame_ring import EncodedFrame, FrameRing
from device_apps.events.event import Event
from device_apps.quota_folder import QuotaFolder
from device_apps.results import FrameResult
from device_apps.retry import FailureLog
from device_apps.scaled_result import limit_width
from device_apps.sources.frames import Frame
from device_apps.sources.opencv import load_opencv
from device_apps.video_writer import VideoWriter
from edge_ssd.errors import EdgeSSDError

__all__ = ["ClipOptions", "ClipRecorder"]

_log = logging.getLogger(__name__)

# WebM with VP8: every browser plays it, and OpenCV's packages of pip and of Debian can write it.
_SUFFIX = ".webm"
_CLIP_NAME = re.compile(rf"clip-\d{{8}}T\d{{9}}Z-[0-9a-f]+-\d+\{_SUFFIX}", re.ASCII)
_MAX_WAITING = 8  # frames that wait for the encoder
_FLUSH_S = 1.5  # A service must end within two seconds after SIGTERM.
_RECORDING_S = 60.0  # A recording waits for a disk that does not respond.


@dataclass(frozen=True)
class ClipOptions:
    """What a clip shows, and what is kept.

    Attributes:
        before, after: seconds before the first object enters, and after the last has left.
        max_seconds: maximum length of a clip.
        fps: maximum frames per second.
        max_width: wider frames are scaled down to it.
        ring_bytes: maximum memory of the frames before an event.
        max_bytes: the oldest clips are deleted above this total size.
        max_age: seconds after which a clip is deleted; None for no limit.
    """

    before: float = 5.0
    after: float = 3.0
    max_seconds: float = 60.0
    fps: float = 10.0
    max_width: int = 960
    ring_bytes: int = 24 * 1024 * 1024
    max_bytes: int = 1024 * 1024 * 1024
    max_age: float | None = None


class ClipRecorder:
    """Folder of clips; a sink, and a context manager.

    One clip shows all objects that are present together: it begins with the first that enters, and ends some seconds
    after the last has left, or at its maximum length. Encoding is done in a thread; frames that find it busy are
    left out of the clip; a recording waits for it. An error of the disk is logged, and the next clip is tried.

    Args:
        live: whether the source is a camera or stream.

    Raises:
        EdgeSSDError: the folder cannot be written.
    """

    finished = False

    def __init__(self, folder: Path, options: ClipOptions = ClipOptions(), *, live: bool = True) -> None:
        self.lost = 0  # clips
        self._options = options
        self._folder = QuotaFolder(folder, _CLIP_NAME, options.max_bytes, options.max_age)
        self._present: set[int] = set()
        self._path: Path | None = None  # of the clip that is being recorded
        self._started_at: float | None = None  # None until its first frame
        self._ends_at: float | None = None  # None while objects are present
        self._last_at: float | None = None
        self._encoder = _Encoder(self._folder, options, live=live)

    def clip_for(self, event: Event) -> Path | None:
        """Return the clip that shows an event, which is complete some time later, and begin it if necessary.

        Called in the thread of the loop, before :meth:`write` for the same frame. None for an object that leaves after
        the maximum length of its clip.
        """
        if event.kind == "enter":
            self._present.add(event.object_id)
            self._ends_at = None
            if self._path is None:
                stamp = event.time.astimezone(timezone.utc)
                text = f"{stamp:%Y%m%dT%H%M%S}{stamp.microsecond // 1000:03}Z"
                self._path = self._folder.path / f"clip-{text}-{event.run}-{event.number}{_SUFFIX}"
                self._started_at = None
                self._encoder.put(self._path)
            return self._path
        if event.kind == "leave":
            self._present.discard(event.object_id)
        return self._path

    def find(self, name: str) -> Path | None:
        """Return the path of a complete clip, or None; any thread may call it."""
        return self._folder.find(name)

    def is_recording(self, name: str) -> bool:
        """Return whether the clip of this name is not complete yet; any thread may call it."""
        return name in self._encoder.recording

    def write(self, result: FrameResult) -> None:
        now = result.frame.stream_time
        if self._path is not None:
            if self._started_at is None:
                self._started_at = now
            if not self._present and self._ends_at is None:
                self._ends_at = now + self._options.after
            length = now - self._started_at + self._options.before
            if (self._ends_at is not None and now >= self._ends_at) or length >= self._options.max_seconds:
                self._path = None
                self._encoder.put(None)
        if self._last_at is None or not 0 <= now - self._last_at < 0.9 / self._options.fps:
            self._last_at = now
            self._encoder.put_frame(result)

    def idle(self) -> None:
        pass

    def __enter__(self) -> ClipRecorder:
        return self

    def __exit__(self, *error: object) -> None:
        self._encoder.close()
        self.lost = self._encoder.lost


class _End:
    """Item that ends the thread."""


class _Encoder:
    """Thread that keeps the ring of frames and writes clips.

    Its queue has frames, the path of a clip that begins, and None where it ends.
    """

    def __init__(self, folder: QuotaFolder, options: ClipOptions, *, live: bool) -> None:
        self.lost = 0
        self.recording: frozenset[str] = frozenset()  # names of clips that are not complete
        load_opencv()  # an error of it now, not with the first clip
        self._folder = folder
        self._options = options
        self._live = live
        self._last_frame_at = math.inf  # ``time.monotonic()`` after which frames are left out, to finish the clip.
        self._ring = FrameRing(options.before, options.ring_bytes)
        self._failures = FailureLog(_log)
        self._path: Path | None = None
        self._writer: VideoWriter | None = None
        self._stack = ExitStack()
        self._waiting: deque[FrameResult | Path | _End | None] = deque()
        self._changed = threading.Condition()
        self._thread = DaemonThread(self._run, "event clips")
        self._thread.start()

    def put(self, item: Path | _End | None) -> None:
        with self._changed:
            if isinstance(item, Path):
                self.recording |= {item.name}
            self._waiting.append(item)
            self._changed.notify()

    def put_frame(self, result: FrameResult) -> None:
        """Enqueue a frame; if too many wait, leave it out, or wait if it is one of a recording."""
        with self._changed:
            if not self._live:
                self._changed.wait_for(lambda: len(self._waiting) < _MAX_WAITING, _RECORDING_S)
            if len(self._waiting) < _MAX_WAITING:
                self._waiting.append(result)
                self._changed.notify()

    def close(self) -> None:
        """Finish the clip that is being written, within a second and a half if the source is live."""
        if self._live:
            self._last_frame_at = time.monotonic() + _FLUSH_S / 2
        self.put(_End())
        self._thread.join(_FLUSH_S if self._live else _RECORDING_S)
        if self._thread.is_alive():
            self.lost += 1
            _log.warning(
                "%s: the last clip is not finished: its disk does not respond, or the machine is too busy to encode it",
                self._folder.path,
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                item = self._waiting.popleft()
                self._changed.notify_all()
            try:
                if isinstance(item, FrameResult):
                    self._add(item)
                elif isinstance(item, Path):
                    self._finish()
                    self._path = item
                else:
                    self._finish()
            except (EdgeSSDError, OSError) as error:
                self._fail(error)
            if isinstance(item, _End):
                return

    def _add(self, result: FrameResult) -> None:
        """Write a frame to the clip, or keep it for the next one; leave it out if the clip must be finished."""
        if time.monotonic() >= self._last_frame_at:
            return
        scaled = limit_width(result, self._options.max_width)
        # Written by its time in the stream, also that of a recording.
        frame = replace(scaled.frame, captured_at=scaled.frame.stream_time, time=None)
        if self._path is None:
            self._ring.add(EncodedFrame.encode(frame.image, frame.captured_at, scaled.detections))
            return
        if self._writer is None:
            self._folder.make_room(0)
            writer = VideoWriter(self._path, self._options.fps, live=True)
            self._writer = self._stack.enter_context(writer)
            for kept in self._ring.take():
                if time.monotonic() >= self._last_frame_at:
                    break
                earlier = Frame(kept.decode(), frame.sequence, kept.at, frame.name)
                self._writer.write(FrameResult(earlier, kept.detections, {}, result.draw))
        self._writer.write(FrameResult(frame, scaled.detections, {}, result.draw))

    def _finish(self) -> None:
        path, writer = self._path, self._writer
        self._path = self._writer = None
        try:
            self._stack.close()
            if path is not None and writer is not None:
                self._folder.add(path)
                self._folder.make_room(0)
                self._failures.recovered(f"{self._folder.path}: clips can be written again")
        finally:
            self._forget(path)

    def _forget(self, path: Path | None) -> None:
        if path is not None:
            with self._changed:
                self.recording -= {path.name}

    def _fail(self, error: EdgeSSDError | OSError) -> None:
        self.lost += 1
        reason = str(error) if isinstance(error, EdgeSSDError) else error.strerror or error
        self._failures.failed(f"{self._folder.path}: a clip is lost: {reason}; detection goes on, the next is tried")
        path = self._path
        self._path = self._writer = None
        self._forget(path)
        with contextlib.suppress(EdgeSSDError, OSError):  # the same fault
            self._stack.close()
        if path is not None:
            with contextlib.suppress(OSError):  # Mostly there is none.
                self._folder.add(path)
