"""Frames, and the interface of the sources that deliver them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from device_apps.sources.deferred_image import DeferredImage, Image

__all__ = ["Frame", "FrameReader", "Image", "Source", "SourceCounts", "iterate"]


@dataclass(frozen=True)
class Frame:
    """One image from a source.

    Attributes:
        captured: uint8 [height, width, 3], RGB, or an image that is not complete yet. Sizes may differ from frame to
            frame.
        sequence: counted by the source from 0; a gap means that frames were dropped.
        captured_at: ``time.monotonic()`` after it was read, in seconds.
        name: path of its file, or name of the source.
        read_seconds: time for reading and decoding, waiting for the device included.
        time: of a recording, its own time at this frame in seconds, never decreasing; None for a live source.
    """

    captured: Image | DeferredImage
    sequence: int
    captured_at: float
    name: str
    read_seconds: float = 0.0
    time: float | None = None

    @property
    def stream_time(self) -> float:
        """Seconds on the clock of the stream: its own time in a recording, else when it was captured."""
        return self.captured_at if self.time is None else self.time

    @property
    def image(self) -> Image:
        """uint8 [height, width, 3], RGB; a deferred one is decoded or converted at the first access."""
        return self.captured.image if isinstance(self.captured, DeferredImage) else self.captured

    def at_least(self, max_side: int | None) -> Image:
        """Return the image for a single use, perhaps reduced, with a longer side of at least ``max_side`` pixels."""
        return self.captured.at_least(max_side) if isinstance(self.captured, DeferredImage) else self.captured

    @property
    def pixels(self) -> Image:
        """What the detector needs: the image, or a smaller one."""
        return self.captured.pixels if isinstance(self.captured, DeferredImage) else self.captured

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the image."""
        if isinstance(self.captured, DeferredImage):
            return self.captured.size
        height, width = self.captured.shape[:2]
        return height, width


@dataclass(frozen=True)
class SourceCounts:
    """Counts of the frames and outages of a source since it was entered.

    Attributes:
        frames: read from the device, dropped ones included.
        dropped: replaced by a newer frame before they were taken.
        stalls: outages in which a live device, or an attempt to open it, hung.
        reconnects: times that the device was opened again and delivered a frame.
        abandoned: capture threads that were stuck and abandoned.
        connected: whether the device delivers frames; always True for recordings.
    """

    frames: int = 0
    dropped: int = 0
    stalls: int = 0
    reconnects: int = 0
    abandoned: int = 0
    connected: bool = True


class FrameReader(Protocol):
    """An opened device or file. Used by one thread only.

    Attributes:
        live: True for a camera or stream, False for a recording.
        fps: frames per second that it announces, or None.
        time: :attr:`Frame.time` of the frame that was read last.

    A reader may count frames that it received, but left out for newer ones, as ``skipped``. One whose frames are
    further apart than the stall timeout allows, as with polling, may state the seconds that can pass between two of
    them as ``max_interval``.
    """

    @property
    def live(self) -> bool: ...
    @property
    def fps(self) -> float | None: ...
    @property
    def time(self) -> float | None: ...

    def read(self) -> Image | DeferredImage | None:
        """Return the next frame, or None at the end; raise SourceError at the end of a truncated recording."""

    def close(self) -> None: ...


class Source(Protocol):
    """Iterable context manager that delivers frames while it is entered.

    Attributes:
        name: for messages, without passwords.
        live: True for cameras and streams, which deliver only the newest frame.
        fps: frames per second that the source announces, or None.
        ended: True when no further frame will come.
        counts: see :class:`SourceCounts`; any thread may ask.
    """

    @property
    def name(self) -> str: ...
    @property
    def live(self) -> bool: ...
    @property
    def fps(self) -> float | None: ...
    @property
    def ended(self) -> bool: ...
    @property
    def counts(self) -> SourceCounts: ...

    def read(self, timeout: float) -> Frame | None:
        """Return the next frame, or None when there is none within ``timeout`` seconds or the source has ended.

        No frame is returned twice. Raises SourceError, once, if the source failed for good and has ended.
        """

    def __enter__(self) -> Source: ...
    def __exit__(self, *error: object) -> None: ...
    def __iter__(self) -> Iterator[Frame]: ...


def iterate(source: Source) -> Iterator[Frame]:
    """Yield every frame of an entered source until it ends."""
    while not source.ended:
        frame = source.read(timeout=0.1)
        if frame is not None:
            yield frame
