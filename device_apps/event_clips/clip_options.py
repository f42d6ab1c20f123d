"""What a clip of an event shows, and what is kept of the clips."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ClipOptions"]


@dataclass(frozen=True)
class ClipOptions:
    """What a clip shows, and what is kept.

    Attributes:
        before, after: seconds before the first event of a clip, and after the last.
        max_seconds: seconds from the start of a clip within which it takes events, and its maximum length while objects
            are present; the seconds after its last event may exceed it.
        repeated: seconds before an event that its clip shows also where the previous clip has shown them.
        fps: maximum frames per second.
        max_width: wider frames are scaled down to it.
        ring_bytes: maximum memory of the frames before an event, and of those that wait to be written.
        max_bytes: the oldest clips are deleted above this total size.
        max_age: seconds after which a clip is deleted; None for no limit.
    """

    before: float = 5.0
    after: float = 3.0
    max_seconds: float = 60.0
    repeated: float = 2.0
    fps: float = 10.0
    max_width: int = 960
    ring_bytes: int = 24 * 1024 * 1024
    max_bytes: int = 1024 * 1024 * 1024
    max_age: float | None = None

    @property
    def ring_seconds(self) -> float:
        """How long frames are kept: a clip that follows begins up to ``after`` seconds after its event."""
        return max(self.before, self.repeated + self.after)
