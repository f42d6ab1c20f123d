"""What every source of pictures gives, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Frame", "Image", "OnMessage", "Source", "SourceCounts", "iterate"]

Image = npt.NDArray[np.uint8]
"""uint8 [height, width, 3], RGB."""

OnMessage = Callable[[str], None]
"""Is given one line that a person should read, such as "lost rtsp://…, trying again"."""


@dataclass(frozen=True)
class Frame:
    """One picture from a source.

    Attributes:
        image: uint8 [height, width, 3], RGB. Sizes may differ from frame to frame.
        sequence: the source's own count from 0; a gap means that frames were dropped.
        captured_at: ``time.monotonic()`` when the source had it, in seconds.
        name: the file it was read from, or what the source is called.
        read_seconds: how long reading and decoding it took, waiting for the device included.
    """

    image: Image
    sequence: int
    captured_at: float
    name: str
    read_seconds: float = 0.0


@dataclass(frozen=True)
class SourceCounts:
    """What a source has counted since it was entered.

    Attributes:
        frames: taken from the device, dropped ones included.
        dropped: replaced by a newer one before anybody took them.
        stalls: times that no frame came for longer than the stall limit.
        reconnects: times that it was opened again and gave a frame.
        abandoned: capture threads that were left behind, stuck, so far.
        connected: a frame came within the stall limit; always True for recordings.
    """

    frames: int = 0
    dropped: int = 0
    stalls: int = 0
    reconnects: int = 0
    abandoned: int = 0
    connected: bool = True


class Source(Protocol):
    """A context manager that one iterates; frames come while it is entered.

    Attributes:
        name: what to call it in messages, without passwords.
        live: True for cameras and streams, where only the newest frame is given.
        fps: frames a second that the source announces, or None.
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
        """The next frame, or None when there is none within ``timeout`` seconds or the source has ended.

        A frame is never given twice. Raises :class:`~edge_ssd.errors.SourceError` once, when the source
        went away for good; the source has then ended.
        """

    def __enter__(self) -> Source: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __iter__(self) -> Iterator[Frame]: ...


def iterate(source: Source) -> Iterator[Frame]:
    """Every frame of an entered source until it ends."""
    while not source.ended:
        frame = source.read(timeout=0.1)
        if frame is not None:
            yield frame
