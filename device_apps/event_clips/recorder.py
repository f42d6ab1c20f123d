"""Sink that records clips of events, with the seconds before and after them."""

from __future__ import annotations

import re
import time
from pathlib import Path

from device_apps.event_clips.clip_options import ClipOptions
from device_apps.event_clips.encoder import ClipEncoder
from device_apps.event_clips.schedule import CLIP_SUFFIX, ClipSchedule
from device_apps.events.event import Event
from device_apps.quota_folder import QuotaFolder
from device_apps.results import FrameResult
from device_apps.video_writer import holds_frames

__all__ = ["ClipRecorder"]

_CLIP_NAME = re.compile(rf"clip-\d{{8}}T\d{{9}}Z-[0-9a-f]+-\d+\{CLIP_SUFFIX}", re.ASCII)
_LATENCY_S = 1.0  # A frame that was captured before an idle moment may come after it.


class ClipRecorder:
    """Folder of clips; a sink, and a context manager.

    :class:`~device_apps.event_clips.schedule.ClipSchedule` says which clip shows an event, and
    :class:`~device_apps.event_clips.encoder.ClipEncoder` writes it in a thread.

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
        self._encoder = ClipEncoder(self._folder, options, live=live)
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
