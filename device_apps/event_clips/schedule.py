"""Which clip shows an event, and when clips begin and end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timezone

from device_apps.event_clips.clip_options import ClipOptions
from device_apps.events.event import Event

__all__ = ["CLIP_SUFFIX", "Clip", "ClipSchedule"]

# WebM with VP8: every browser plays it, and OpenCV's packages of pip and of Debian can write it.
CLIP_SUFFIX = ".webm"


@dataclass
class Clip:
    """A clip that is being recorded, or will be; times are those of the stream, in seconds.

    Attributes:
        name: of its file.
        starts_at: time of its first frame.
        last_event_at: time of the last event that it shows.
        objects: those that entered in it and have not left.
    """

    name: str
    starts_at: float
    last_event_at: float
    objects: set[int] = field(default_factory=set)


class ClipSchedule:
    """Plan of the clips, at most one of which is recorded at a time.

    A clip takes the events of ``max_seconds`` from its start. It ends ``after`` seconds after the last of them, or,
    while an object is present that entered in it, at ``max_seconds`` if that is later. What goes on after that without
    an event is in no clip; the next event begins the next one. An event that comes while the seconds after the last
    event of a full clip are recorded begins a clip that follows, from the frames that are kept.

    Args:
        change: called with a clip that begins, and with None when it ends.
    """

    def __init__(self, options: ClipOptions, change: Callable[[Clip | None], None]) -> None:
        self._options = options
        self._change = change
        self._current: Clip | None = None
        self._following: Clip | None = None
        self._ended_at = -math.inf
        self._frames_from = math.inf  # There are frames since this time.
        self._last_frame_at = -math.inf

    @property
    def following(self) -> Clip | None:
        """The clip that begins when the current one has ended."""
        return self._following

    def add_frame(self, at: float) -> None:
        """Note that there is a frame of this time, and end the clip that is over by then."""
        if not 0 <= at - self._last_frame_at <= self._options.before:
            self._frames_from = at  # The frames before a pause are not those before an event.
        self._last_frame_at = at
        self.advance(at)

    def advance(self, now: float) -> None:
        """End the clip that is over by ``now``, and begin the one that follows."""
        while self._current is not None and now >= self._ends_at(self._current):
            self._end()

    def clip_for(self, event: Event, at: float, *, begin: bool = True) -> Clip | None:
        """Return the clip that shows an event of a frame of this time; without ``begin`` None for a new one."""
        self.add_frame(at)
        clip = self._following or self._current
        if event.kind == "leave":
            for shown in (self._current, self._following):
                if shown is not None:
                    shown.objects.discard(event.object_id)
        if not begin:
            return clip
        if clip is None or (clip is self._current and at >= clip.starts_at + self._options.max_seconds):
            clip = self._new(event, at)
        clip.last_event_at = max(clip.last_event_at, at)
        if event.kind == "enter":
            clip.objects.add(event.object_id)
        return clip

    def finish(self) -> None:
        """End all clips."""
        while self._current is not None:
            self._end()

    def _new(self, event: Event, at: float) -> Clip:
        """Begin a clip, or note it as the one that follows."""
        options = self._options
        stamp = event.time.astimezone(timezone.utc)
        text = f"{stamp:%Y%m%dT%H%M%S}{stamp.microsecond // 1000:03}Z"
        shown_until = self._ended_at if self._current is None else at
        starts_at = max(at - options.before, min(shown_until, at - options.repeated), self._frames_from)
        clip = Clip(f"clip-{text}-{event.run}-{event.number}{CLIP_SUFFIX}", starts_at, at)
        if self._current is None:
            self._begin(clip)
        else:
            self._following = clip
        return clip

    def _ends_at(self, clip: Clip) -> float:
        end = clip.last_event_at + self._options.after
        return max(end, clip.starts_at + self._options.max_seconds) if clip.objects else end

    def _begin(self, clip: Clip) -> None:
        self._current = clip
        self._change(clip)

    def _end(self) -> None:
        assert self._current is not None
        self._ended_at = self._ends_at(self._current)
        self._current = None
        self._change(None)
        if self._following is not None:
            following, self._following = self._following, None
            self._begin(following)
