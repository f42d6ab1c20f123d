"""A source with a thread of its own: cameras, network streams and video files.

``read()`` of a capture library can block for ever and cannot be interrupted, and cameras queue up old frames.
So one thread does nothing but read. For a camera or stream it keeps the newest frame only; for a file it waits
until each frame has been taken. The thread alone opens and closes the device: closing it from elsewhere while it
reads would crash the library. A thread that is stuck is left behind: it is a daemon and ends with the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol

from device_apps.frames import Frame, Image, Notice, SourceCounts, iterate
from edge_ssd.errors import SourceError

__all__ = ["CaptureSource", "Grabber"]

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 10.0  # Between attempts to reconnect; doubled each time.
_STABLE_S = 5.0  # A connection that holds so long ends a series of attempts.
_JOIN_S = 0.5  # Longer than between two frames of any camera that still gives some.


class Grabber(Protocol):
    """An opened device or file. Used by one thread only.

    Attributes:
        live: True when old frames are worthless, False for a recording.
        fps: frames a second that it announces, or None.
    """

    @property
    def live(self) -> bool: ...
    @property
    def fps(self) -> float | None: ...

    def read(self) -> Image | None:
        """The next frame, or None when a recording has ended or a device has gone.

        Raises :class:`SourceError` when a recording breaks off.
        """

    def close(self) -> None: ...


class CaptureSource:
    """Frames of whatever ``open_grabber`` opens.

    Entering waits for the first frame, so that a source that cannot be opened is an error at once. After that,
    a live source that goes away is opened again and again, with growing pauses.

    Args:
        open_grabber: opens the device; raises :class:`SourceError` when it cannot. Called in the thread.
        name: what to call it in messages.
        retries: attempts in a row to reconnect before the source is given up; None means for ever.
        stop: when set, waiting ends.
        notice: is told when the source is lost and when it is back.
    """

    def __init__(
        self,
        open_grabber: Callable[[], Grabber],
        name: str,
        *,
        retries: int | None = None,
        stop: threading.Event | None = None,
        notice: Notice = lambda line: None,
    ) -> None:
        self.name = name
        self._open = open_grabber
        self._retries = retries
        self._stop = stop or threading.Event()
        self._notice = notice
        self._thread = threading.Thread(target=self._run, name=f"capture {name}", daemon=True)
        # The condition guards everything below.
        self._changed = threading.Condition()
        self._closing = False
        self._done = False
        self._frame: Frame | None = None
        self._error: SourceError | None = None
        self._sequence = 0
        self._lost = False
        self._reconnects = 0
        self._dropped = 0
        self._live = True
        self._fps: float | None = None

    @property
    def live(self) -> bool:
        return self._live

    @property
    def fps(self) -> float | None:
        return self._fps

    @property
    def dropped(self) -> int:
        return self._dropped

    @property
    def ended(self) -> bool:
        with self._changed:
            return self._closing or (self._done and self._frame is None and self._error is None)

    @property
    def counts(self) -> SourceCounts:
        with self._changed:
            return SourceCounts(
                frames=self._sequence,
                dropped=self._dropped,
                reconnects=self._reconnects,
                connected=not self._live or not (self._lost or self._done),
            )

    def read(self, timeout: float) -> Frame | None:
        """See :class:`~device_apps.frames.Source`."""
        with self._changed:
            if self._frame is None and not self._done:
                self._changed.wait(timeout)
            frame, self._frame = self._frame, None
            if frame is None and self._error is not None:
                error, self._error = self._error, None
                raise error
            self._changed.notify_all()
            return frame

    def __enter__(self) -> CaptureSource:
        self._thread.start()
        with self._changed:
            while self._frame is None and not self._done and not self._stop.is_set():
                self._changed.wait(0.1)  # In slices, so that a signal handler that sets `stop` is noticed.
            failed = self._frame is None and self._error is not None
        if failed:
            self._close()
            assert self._error is not None
            raise self._error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __iter__(self) -> Iterator[Frame]:
        return iterate(self)

    def _close(self) -> None:
        with self._changed:
            self._closing = True
            self._frame = None
            self._changed.notify_all()
        self._thread.join(_JOIN_S)

    # What follows runs in the thread.

    def _run(self) -> None:
        error: SourceError | None = None
        try:
            self._grab_and_reconnect()
        except SourceError as reason:
            error = reason
        except Exception as reason:  # A bug or a library's own error must end the loop, not leave it waiting.
            error = SourceError(f"{self.name}: reading failed: {type(reason).__name__}: {reason}")
        finally:
            with self._changed:
                self._error, self._done = error, True
                self._changed.notify_all()

    def _grab_and_reconnect(self) -> None:
        attempts = 0
        while not self._closing:
            start = time.monotonic()
            try:
                frames = self._grab()
            except SourceError:
                if self._sequence == 0 or not self._live:
                    raise
                frames = 0
            if self._closing or (self._sequence and not self._live):
                return
            if self._sequence == 0:
                raise SourceError(
                    f"{self.name}: it opens, but gives no picture; is another program using it, or is it switched off?"
                )
            self._lost = True
            if frames:
                # One that breaks off at once, again and again, must not be asked for at full speed for ever.
                attempts = 0 if time.monotonic() - start >= _STABLE_S else attempts
                self._notice(f"lost {self.name}; trying to get it back")
            if attempts == self._retries:
                raise SourceError(
                    f"{self.name}: lost, and not back after {attempts} attempts; check its power and its connection"
                )
            self._pause(min(_FIRST_WAIT_S * 2 ** min(attempts, 10), _LONGEST_WAIT_S))
            attempts += 1

    def _grab(self) -> int:
        """Open, give frames until there are no more, close; returns how many there were."""
        grabber = self._open()
        count = 0
        try:
            self._live, self._fps = grabber.live, grabber.fps
            while not self._closing:
                start = time.monotonic()
                image = grabber.read()
                if image is None:
                    break
                if count == 0 and self._lost:
                    self._lost = False
                    self._reconnects += 1
                    self._notice(f"{self.name} is back")
                now = time.monotonic()
                self._give(Frame(image, self._sequence, now, self.name, now - start))
                count += 1
        finally:
            grabber.close()
        return count

    def _give(self, frame: Frame) -> None:
        with self._changed:
            while not self._live and self._frame is not None and not self._closing:
                self._changed.wait()
            self._dropped += self._frame is not None and not self._closing
            self._frame = None if self._closing else frame
            self._sequence += 1
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing, seconds)
