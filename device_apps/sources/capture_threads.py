"""Capture threads of one device, and the watchdog that opens the device again when it is lost.

``read()`` of a capture library can block forever and cannot be interrupted, and closing a device while another thread
reads it crashes the library. So each opening of the device has a thread of its own that opens, reads and closes it. A
thread that is stuck is abandoned: its frames are discarded, and another thread opens the device. When the stuck call
returns, the abandoned thread closes its device and ends. All threads are daemons.

A thread that is slow to open stays eligible while another attempt is made beside it: the first to deliver a frame
becomes the active thread, and the others are discarded. So a camera that needs long to open is not given up just before
its first frame. The states and their transitions: :mod:`device_apps.sources.capture_state`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from device_apps.daemon_thread import DaemonThread
from device_apps.sources.capture_state import TRANSITIONS, CaptureState
from device_apps.sources.deferred_image import DeferredImage, Image
from device_apps.sources.frames import FrameReader, SourceCounts
from device_apps.sources.latest_frame import LatestFrameBuffer
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.console.counts import count
from edge_ssd.errors import EdgeSSDError, SourceError

__all__ = ["CaptureWatchdog"]

_log = logging.getLogger(__name__)

_MAX_SINGLE_FRAMES = 3
_STUCK_STALLS = 5  # Libraries with time limits of their own return before this many stall timeouts.


class _CaptureThread(DaemonThread):
    """Thread of one opening of the device.

    Attributes:
        discarded: True when its frames are no longer used.
        finished: True when its device is closed.
        reason: why it ended, in parentheses; "" if it is unknown.
        error: of the first opening, or of a recording, or None. That of a lost camera is not kept: its traceback refers
            to the reader, with its buffers and its last image, and to this thread. In such a cycle they would stay
            until one of Python's rare full collections, some megabytes for each loss.
    """

    def __init__(self, capture: Callable[[_CaptureThread], None], name: str) -> None:
        super().__init__(capture, name, (self,))
        self.discarded = False
        self.finished = False
        self.reason = ""
        self.error: Exception | None = None


class CaptureWatchdog:
    """Watchdog that reads a device in capture threads and reopens it when it ended or stalled.

    Args:
        buffer: takes the frames, and the error that ends the capture.
        others: see :class:`~device_apps.sources.capture.CaptureSource`.

    Attributes:
        live: whether the device is live rather than a recording, known from its first opening.
        fps: frames per second that the device announced at its last opening, or None.
    """

    def __init__(
        self,
        open_reader: Callable[[], FrameReader],
        name: str,
        buffer: LatestFrameBuffer,
        *,
        retries: int | None,
        timeouts: CaptureTimeouts,
        explain: Callable[[], str] | None,
    ) -> None:
        self.live = True
        self.fps: float | None = None
        self._open_reader = open_reader
        self._name = name
        self._buffer = buffer
        self._retries = retries
        self._timeouts = timeouts
        self._explain = explain
        self._stall = timeouts.stall
        self._opening_seconds = 0.0  # Of the first opening, up to its first frame.
        self._thread = DaemonThread(self._run, f"watch {name}")
        # Guards everything below and above; only the watchdog's thread waits for it.
        self._changed = threading.Condition()
        self._state = CaptureState.OPENING
        self._threads: list[_CaptureThread] = []  # Running, stuck ones included.
        self._active: _CaptureThread | None = None  # Set while STREAMING.
        self._frame_at = 0.0
        self._connections = self._stalls = self._abandoned = 0
        self._frames_of_connection = self._single_frames = 0  # Connections with one frame, in a row.
        self._blocked_at: float | None = None  # Since when no further thread may be started.

    @property
    def counts(self) -> SourceCounts:
        """Counts of frames, stalls and reconnects so far; thread-safe."""
        frames, dropped = self._buffer.counts
        with self._changed:
            return SourceCounts(
                frames=frames,
                dropped=dropped,
                stalls=self._stalls,
                reconnects=max(self._connections - 1, 0),
                abandoned=self._abandoned,
                connected=self._state is CaptureState.STREAMING or not self.live,
            )

    def start(self) -> None:
        """Start the threads, which open the device and put its frames and errors into the buffer."""
        self._thread.start()

    def close(self) -> None:
        """Release the device; threads that are stuck are abandoned after ``timeouts.close`` seconds."""
        self._close()
        end = time.monotonic() + self._timeouts.close
        self._thread.join(self._timeouts.close)
        with self._changed:
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0.0))

    # In the watchdog's thread.

    def _run(self) -> None:
        error: SourceError | None = None
        try:
            self._watch()
        except SourceError as reason:
            error = reason
        except EdgeSSDError as reason:  # A missing library.
            error = SourceError(f"{self._name}: {reason}")
        except Exception as reason:
            error = SourceError(f"{self._name}: reading failed: {type(reason).__name__}: {reason}")
        finally:
            self._close()
            self._buffer.end(error)

    def _watch(self) -> None:
        """Keep the device open until the state is CLOSED. Raises the error that ends the capture."""
        self._open_first()
        attempts = 0
        while True:
            start = time.monotonic()
            lost = self._wait_until_lost()
            if lost is None:
                return
            if not self.live:
                if lost.error is not None:
                    raise lost.error
                return
            # A device that ends soon after each opening must not be reopened at full speed: its pauses go on growing.
            if time.monotonic() - start >= self._timeouts.stable:
                attempts = 0
            quiet = self._is_slow_camera()
            level = logging.DEBUG if quiet else logging.WARNING
            if not lost.finished:
                _log.log(level, "%s: no frame for %g s; reconnecting", self._name, self._stall)
            else:
                _log.log(level, "lost %s%s; reconnecting", self._name, lost.reason)
            attempts = self._reconnect(attempts, stuck=not lost.finished)
            if self._state is CaptureState.CLOSED:
                return
            _log.log(logging.DEBUG if quiet else logging.INFO, "%s: is back, reconnected", self._name)

    def _reason(self, error: Exception) -> str:
        """Return why a connection ended, in parentheses."""
        known = isinstance(error, EdgeSSDError)
        return f" ({str(error).removeprefix(f'{self._name}: ') if known else type(error).__name__})"

    def _is_slow_camera(self) -> bool:
        """Return whether the last connections had one frame each, so that their ends are not logged one by one.

        The cause, a camera that is slower than the stall timeout, is logged once.
        """
        self._single_frames = self._single_frames + 1 if self._frames_of_connection == 1 else 0
        if self._single_frames == _MAX_SINGLE_FRAMES:
            _log.warning(
                "%s: one frame in each connection; if it has so few frames, give --stall-timeout SECONDS, three times "
                "the time between two frames",
                self._name,
            )
        return self._single_frames >= _MAX_SINGLE_FRAMES

    def _open_first(self) -> None:
        """Wait for the first frame. Raises why there is none."""
        start = time.monotonic()
        with self._changed:
            thread = self._start_thread()
            self._wait_for_frame(thread, self._timeouts.first_frame)
            if not self.live:  # Recordings have no time limit.
                self._wait_for_frame(thread, None)
            self._opening_seconds = time.monotonic() - start
            if self._state is not CaptureState.OPENING:
                return
        if isinstance(thread.error, SourceError) and self._explain is not None:
            raise SourceError(f"{self._name}: {self._explain()}")
        if thread.error is not None:
            raise thread.error
        limit = f"{self._timeouts.first_frame:g} s"
        reason = "it opens, but delivers no frame" if thread.finished else f"no frame within {limit}"
        raise SourceError(f"{self._name}: {reason}; is another program using it, or is it switched off?")

    def _wait_until_lost(self) -> _CaptureThread | None:
        """Wait until the device is lost and enter the next state. No other function declares a device lost.

        It is lost when its thread has ended or, if it is live, when no frame came for the stall timeout.
        Return the thread that was active, or None when the capture was closed.
        """
        with self._changed:
            active = self._active
            while active is not None and self._active is active and not active.finished:
                remaining = self._frame_at + self._stall - time.monotonic() if self.live else None
                if remaining is not None and remaining <= 0:
                    break
                self._changed.wait(remaining)
            if active is None or self._active is not active:
                return None
            self._active, active.discarded = None, True
            if not self.live:
                self._enter(CaptureState.CLOSED)
            elif active.finished:
                self._enter(CaptureState.RECONNECTING)
            else:
                self._enter(CaptureState.STALLED)
                self._abandoned += 1
            return active

    def _reconnect(self, attempts: int, *, stuck: bool) -> int:
        """Open the device until the state is STREAMING or CLOSED; raise SourceError when no attempts are left.

        If the last thread is ``stuck``, the time limit has just passed, and there is no pause. Return the number of
        attempts made, those before included.
        """
        while self._in_outage():
            if attempts == self._retries:
                raise SourceError(
                    f"{self._name}: lost, and {count(attempts, 'attempt')} to reconnect failed; check its power and "
                    "connection"
                )
            if not stuck:
                with self._changed:
                    self._changed.wait_for(lambda: not self._in_outage(), self._timeouts.retry_pause(attempts))
            attempts += 1
            stuck = self._open_again(last=attempts == self._retries)
        return attempts

    def _open_again(self, *, last: bool) -> bool:
        """Make one attempt to reconnect; return whether it is stuck. An earlier attempt may succeed meanwhile."""
        # Twice the time of the first opening: a camera that always needs long is not opened twice at once.
        limit = max(self._stall, 2 * self._opening_seconds, self._timeouts.first_frame if last else 0.0)
        with self._changed:
            if not self._changed.wait_for(
                lambda: not self._in_outage() or len(self._threads) < self._timeouts.max_threads, limit
            ):
                self._check_stuck()
                return True
            self._blocked_at = None
            if not self._in_outage():
                return False
            thread = self._start_thread()
            if self._wait_for_frame(thread, limit):
                return False
            self._abandoned += 1
            if self._state is CaptureState.RECONNECTING:
                self._enter(CaptureState.STALLED)
            return True

    def _check_stuck(self) -> None:
        """Raise SourceError when no capture thread has returned for too long: only a new process can help."""
        now = time.monotonic()
        self._blocked_at = self._blocked_at or now
        if now - self._blocked_at >= max(self._timeouts.stuck, _STUCK_STALLS * self._stall):
            raise SourceError(
                f"{self._name}: lost, and {len(self._threads)} attempts to read it hang in its driver or library; "
                "restart the program (as a service it is restarted), or reconnect the camera's power"
            )

    def _start_thread(self) -> _CaptureThread:
        """Start a capture thread. The lock is held: the thread needs it to end, and is listed before that."""
        thread = _CaptureThread(self._capture, f"capture {self._name}")
        thread.start()
        self._threads.append(thread)
        return thread

    def _wait_for_frame(self, thread: _CaptureThread, seconds: float | None) -> bool:
        """Wait until any thread delivers a frame, this one has ended, or the state is CLOSED. The lock is held."""
        final = (CaptureState.STREAMING, CaptureState.CLOSED)
        return self._changed.wait_for(lambda: self._state in final or thread.finished, seconds)

    # In a capture thread.

    def _capture(self, thread: _CaptureThread) -> None:
        try:
            self._open_and_read(thread)
        except Exception as error:  # Library errors and bugs are reported by the watchdog, which waits for the end.
            thread.reason = self._reason(error)
            with self._changed:
                if not (self.live and self._connections):
                    thread.error = error
        finally:
            with self._changed:
                thread.finished = True
                self._threads.remove(thread)
                self._changed.notify()

    def _open_and_read(self, thread: _CaptureThread) -> None:
        reader = self._open_reader()
        try:
            with self._changed:
                if self._connections == 0:
                    self.live = reader.live
                self.fps = reader.fps
                self._stall = max(self._timeouts.stall, getattr(reader, "max_interval", 0.0))
                wanted = self._is_wanted(thread)
            skipped = 0
            while wanted:
                start = time.monotonic()
                image = reader.read()
                if image is None:
                    break
                now = time.monotonic()
                before, skipped = skipped, getattr(reader, "skipped", 0)
                wanted = self._deliver(thread, image, now, now - start, reader.time, skipped - before)
        finally:
            reader.close()

    def _deliver(
        self,
        thread: _CaptureThread,
        image: Image | DeferredImage,
        captured_at: float,
        read_seconds: float,
        media_time: float | None,
        skipped: int,
    ) -> bool:
        """Put a frame into the buffer, unless it is not wanted; return whether it was."""
        with self._changed:
            if not self._is_wanted(thread):
                return False
            if self._state is not CaptureState.STREAMING:
                self._active = thread
                for other in self._threads:
                    other.discarded = other is not thread
                self._enter(CaptureState.STREAMING)
                self._connections += 1
                self._frames_of_connection = 0
            self._frames_of_connection += 1
            self._frame_at = captured_at
            if self.live:  # Under the lock: after a thread was discarded, no frame of it gets through.
                self._buffer.put(image, captured_at, read_seconds, blocking=False, skipped=skipped)
                return True
        self._buffer.put(image, captured_at, read_seconds, media_time, blocking=True)
        return True

    # In any thread.

    def _is_wanted(self, thread: _CaptureThread) -> bool:
        return not (thread.discarded or self._state is CaptureState.CLOSED)

    def _in_outage(self) -> bool:
        return self._state in (CaptureState.RECONNECTING, CaptureState.STALLED)

    def _close(self) -> None:
        with self._changed:
            if self._state is not CaptureState.CLOSED:
                self._active = None
                self._enter(CaptureState.CLOSED)

    def _enter(self, state: CaptureState) -> None:
        """Change the state. The lock is held."""
        assert state in TRANSITIONS[self._state], f"{self._state} to {state}"
        _log.debug("%s: %s, was %s", self._name, state.value, self._state.value)
        self._state = state
        self._stalls += state is CaptureState.STALLED
        self._changed.notify()
