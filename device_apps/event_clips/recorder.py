"""Sink that records clips of events, with the seconds before and after them."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import threading
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from device_apps.daemon_thread import DaemonThread
from device_apps.event_clips.clip_options import ClipOptions
from device_apps.event_clips.frame_ring import EncodedFrame, FrameRing
from device_apps.event_clips.schedule import CLIP_SUFFIX, Clip, ClipSchedule
from device_apps.events.event import Event
from device_apps.quota_folder import QuotaFolder
from device_apps.results import FrameResult
from device_apps.retry import FailureLog
from device_apps.scaled_result import limit_width
from device_apps.sources.opencv import load_opencv
from device_apps.video_writer import VideoWriter, holds_frames
from edge_ssd.errors import EdgeSSDError

__all__ = ["ClipRecorder"]

_log = logging.getLogger(__name__)

_CLIP_NAME = re.compile(rf"clip-\d{{8}}T\d{{9}}Z-[0-9a-f]+-\d+\{CLIP_SUFFIX}", re.ASCII)
_MAX_WAITING = 8  # frames that wait for the encoder
_FLUSH_S = 1.5  # A service must end within two seconds after SIGTERM.
_LATENCY_S = 1.0  # A frame that was captured before an idle moment may come after it.
_RECORDING_S = 60.0  # A recording waits for a disk that does not respond.


class ClipRecorder:
    """Folder of clips; a sink, and a context manager.

    :class:`~device_apps.event_clips.schedule.ClipSchedule` says which clip shows an event. Encoding is done in a
    thread; frames that find it busy are left out of the clip; a recording waits for it. An error of the disk is logged,
    and the next clip is tried.

    Args:
        live: whether the source is a camera or stream.

    Raises:
        EdgeSSDError: the folder cannot be written.
    """

    finished = False

    def __init__(self, folder: Path, options: ClipOptions = ClipOptions(), *, live: bool = True) -> None:
        self.lost = 0  # clips
        self._fps = options.fps
        self._live = live
        self._folder = QuotaFolder(folder, _CLIP_NAME, options.max_bytes, options.max_age, holds_frames)
        self._last_at: float | None = None
        self._encoder = _Encoder(self._folder, options, live=live)
        self._schedule = ClipSchedule(options, self._encoder.put)

    def clip_for(self, event: Event, at: float, *, begin: bool = True) -> Path | None:
        """Return the clip that shows an event of a frame of this stream time, which is complete some time later.

        Called in the thread of the loop, before :meth:`write` for the same frame. ``begin`` is whether a clip begins if
        none is recorded; without, the result is None then.
        """
        clip = self._schedule.clip_for(event, at, begin=begin)
        return None if clip is None else self._folder.path / clip.name

    def find(self, name: str) -> Path | None:
        """Return the path of a complete clip, or None; any thread may call it."""
        return self._folder.find(name)

    def is_recording(self, name: str) -> bool:
        """Return whether the clip of this name is not complete yet; any thread may call it."""
        following = self._schedule.following
        return name in self._encoder.recording or (following is not None and following.name == name)

    def write(self, result: FrameResult) -> None:
        now = result.frame.stream_time
        self._schedule.add_frame(now)
        if self._last_at is None or not 0 <= now - self._last_at < 0.9 / self._fps:
            self._last_at = now
            self._encoder.put_frame(result)

    def idle(self) -> None:
        """Complete the clip of a live source that delivers no frames."""
        if self._live:
            self._schedule.advance(time.monotonic() - _LATENCY_S)

    def __enter__(self) -> ClipRecorder:
        return self

    def __exit__(self, *error: object) -> None:
        self._schedule.finish()
        self._encoder.close()
        self.lost = self._encoder.lost


class _End:
    """Item that ends the thread."""


class _Encoder:
    """Thread that keeps the ring of frames and writes clips.

    Its queue has frames, the clip that begins, and None where it ends.
    """

    def __init__(self, folder: QuotaFolder, options: ClipOptions, *, live: bool) -> None:
        self.lost = 0
        self.recording: frozenset[str] = frozenset()  # names of clips that are not complete
        load_opencv()  # an error of it now, not with the first clip
        self._folder = folder
        self._options = options
        self._live = live
        self._last_frame_at = math.inf  # ``time.monotonic()`` after which frames are left out, to finish the clip.
        self._ring = FrameRing(options.ring_seconds, options.ring_bytes)
        self._failures = FailureLog(_log)
        self._clip: Clip | None = None
        self._writer: VideoWriter | None = None
        self._latest: FrameResult | None = None
        self._stack = ExitStack()
        self._waiting: deque[FrameResult | Clip | _End | None] = deque()
        self._changed = threading.Condition()
        self._thread = DaemonThread(self._run, "event clips")
        self._thread.start()

    def put(self, item: Clip | _End | None) -> None:
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
                self._changed.wait_for(lambda: self._waiting)
                item = self._waiting.popleft()
                self._changed.notify_all()
            try:
                if isinstance(item, FrameResult):
                    self._add(item)
                elif isinstance(item, Clip):
                    self._finish()
                    self._clip = item
                else:
                    self._finish()
            except (EdgeSSDError, OSError) as error:
                self._fail(error)
            if isinstance(item, _End):
                return

    def _add(self, result: FrameResult) -> None:
        """Write a frame to the clip, and keep it for the next one; leave it out if the clip must be finished."""
        if time.monotonic() >= self._last_frame_at:
            return
        scaled = limit_width(result, self._options.max_width)
        # Written by its time in the stream, also that of a recording.
        frame = replace(scaled.frame, captured_at=scaled.frame.stream_time, time=None)
        self._latest = FrameResult(frame, scaled.detections, {}, result.draw)
        if self._clip is not None:
            self._open(self._clip, self._latest).write(self._latest)
        self._ring.add(EncodedFrame.encode(frame.image, frame.captured_at, scaled.detections))

    def _open(self, clip: Clip, latest: FrameResult) -> VideoWriter:
        """Return the writer of a clip; begin it with the frames that were kept, if it is new."""
        if self._writer is None:
            self._folder.make_room(0)
            writer = VideoWriter(self._folder.path / clip.name, self._options.fps, live=True)
            self._writer = self._stack.enter_context(writer)
            for kept in self._ring.since(clip.starts_at):
                if time.monotonic() >= self._last_frame_at:
                    break
                earlier = replace(latest.frame, captured=kept.decode(), captured_at=kept.at)
                writer.write(FrameResult(earlier, kept.detections, {}, latest.draw))
        return self._writer

    def _finish(self) -> None:
        clip = self._clip
        try:
            if clip is not None and self._latest is not None:
                self._open(clip, self._latest)  # A clip without a frame after its event has those before.
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
