"""Thread that encodes clips, with the frames before them."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack

from device_apps.daemon_thread import DaemonThread
from device_apps.event_clips.clip_options import ClipOptions
from device_apps.event_clips.frame_ring import EncodedFrame, FrameRing
from device_apps.event_clips.schedule import Clip
from device_apps.quota_folder import QuotaFolder
from device_apps.results import FrameResult
from device_apps.retry import FailureLog
from device_apps.scaled_result import limit_width
from device_apps.sources.frames import Frame, Image
from device_apps.sources.opencv import load_opencv
from device_apps.video_writer import VideoWriter
from edge_ssd.drawing import draw_detections
from edge_ssd.errors import EdgeSSDError
from edge_ssd.runtime.detections import Detections

__all__ = ["ClipEncoder"]

_log = logging.getLogger(__name__)

_MAX_WAITING = 8  # frames that were not compressed yet
_FLUSH_S = 1.5  # A service must end within two seconds after SIGTERM.
_RECORDING_S = 60.0  # A recording waits for a disk that does not respond.


class _End:
    """Item that ends the thread."""


class ClipEncoder:
    """Thread that keeps the latest frames and writes clips.

    Each frame is compressed as JPEG when it comes, which is fast, and waits so for the encoder of the video, which may
    take longer than the time between two frames. If more wait than ``ring_bytes``, frames are left out of the clip; a
    recording waits. An error of the disk is logged, and the next clip is tried.

    Attributes:
        lost: number of clips that could not be written.
        recording: names of the clips that are not complete.
    """

    def __init__(self, folder: QuotaFolder, options: ClipOptions, *, live: bool) -> None:
        self.lost = 0
        self.recording: frozenset[str] = frozenset()
        load_opencv()  # an error of it now, not with the first clip
        self._folder = folder
        self._options = options
        self._live = live
        self._last_frame_at = math.inf  # ``time.monotonic()`` after which frames are left out, to finish the clip.
        self._ring = FrameRing(options.ring_seconds, options.ring_bytes)
        self._is_clip = False  # Whether the frames that come are those of a clip.
        self._unwritten: deque[EncodedFrame | Clip | _End | None] = deque()
        self._unwritten_bytes = 0
        self._draw: Callable[[Image, Detections], Image] = draw_detections
        self._clip: Clip | None = None  # That is being written.
        self._writer: VideoWriter | None = None
        self._stack = ExitStack()
        self._failures = FailureLog(_log)
        self._waiting: deque[FrameResult | Clip | _End | None] = deque()
        self._changed = threading.Condition()  # Guards _waiting and recording.
        self._thread = DaemonThread(self._run, "event clips")
        self._thread.start()

    def put(self, item: Clip | _End | None) -> None:
        """Begin a clip, or end it with None."""
        with self._changed:
            if isinstance(item, Clip):
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
                "%s: the last clip is not finished: its disk does not respond, or the machine is too busy to encode it"
                "; the next start keeps what was written",
                self._folder.path,
            )

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._unwritten)
                # Live frames do not wait for those before; the frames of a recording do.
                takes = bool(self._waiting) and (self._live or not self._unwritten)
                come = self._waiting.popleft() if takes else None
                self._changed.notify_all()
            try:
                if takes:
                    self._take(come)
                elif isinstance(item := self._unwritten.popleft(), _End):
                    return
                else:
                    self._write(item)
            except (EdgeSSDError, OSError) as error:
                self._fail(error)

    def _take(self, item: FrameResult | Clip | _End | None) -> None:
        """Keep a frame for the clips, with those before a clip that begins."""
        if isinstance(item, FrameResult):
            if time.monotonic() < self._last_frame_at:
                self._take_frame(item)
            return
        self._unwritten.append(item)
        self._is_clip = isinstance(item, Clip)
        if isinstance(item, Clip):
            before = self._ring.since(item.starts_at)
            self._unwritten.extend(before)
            self._unwritten_bytes += sum(len(frame.jpeg) for frame in before)

    def _take_frame(self, result: FrameResult) -> None:
        scaled = limit_width(result, self._options.max_width)
        # By its time in the stream, also that of a recording.
        frame = EncodedFrame.encode(scaled.frame.image, scaled.frame.stream_time, scaled.detections)
        self._draw = result.draw
        self._ring.add(frame)
        if self._is_clip and self._unwritten_bytes < self._options.ring_bytes:
            self._unwritten.append(frame)
            self._unwritten_bytes += len(frame.jpeg)

    def _write(self, item: EncodedFrame | Clip | None) -> None:
        """Write a frame, begin a clip or finish it."""
        if not isinstance(item, EncodedFrame):
            self._finish()
            self._clip = item
            return
        self._unwritten_bytes -= len(item.jpeg)
        if self._clip is None or time.monotonic() >= self._last_frame_at:  # It has failed, or must be finished.
            return
        if self._writer is None:
            self._folder.make_room(0)
            writer = VideoWriter(self._folder.path / self._clip.name, self._options.fps, live=True)
            self._writer = self._stack.enter_context(writer)
        self._writer.write(FrameResult(Frame(item.decode(), 0, item.at, ""), item.detections, {}, self._draw))

    def _finish(self) -> None:
        clip = self._clip
        try:
            self._clip = self._writer = None
            self._stack.close()
            if clip is not None and (path := self._folder.find(clip.name)) is not None:
                self._folder.add(path)
                self._folder.make_room(0)
                if not path.exists():
                    raise EdgeSSDError("it is larger than --event-clips-max-mb allows, or the disk is nearly full")
                self._failures.recovered(f"{self._folder.path}: clips can be written again")
        finally:
            self._forget(clip)

    def _forget(self, clip: Clip | None) -> None:
        if clip is not None:
            with self._changed:
                self.recording -= {clip.name}

    def _fail(self, error: EdgeSSDError | OSError) -> None:
        self.lost += 1
        reason = str(error) if isinstance(error, EdgeSSDError) else error.strerror or error
        self._failures.failed(f"{self._folder.path}: a clip is lost: {reason}; detection goes on, the next is tried")
        clip = self._clip
        self._clip = self._writer = None
        self._forget(clip)
        with contextlib.suppress(EdgeSSDError, OSError):  # the same fault
            self._stack.close()
        if clip is not None:
            with contextlib.suppress(OSError):  # Mostly there is none.
                self._folder.add(self._folder.path / clip.name)
