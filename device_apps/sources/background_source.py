"""Source that is opened in a thread, so that a camera which is away delays no other one."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from device_apps.daemon_thread import DaemonThread
from device_apps.retry import FailureLog, backoff
from device_apps.sources.frames import Frame, Source, SourceCounts, iterate
from edge_ssd.errors import EdgeSSDError, SourceError

__all__ = ["OPENING", "BackgroundSource"]

OPENING = "the source is being opened"
"""The problem of a source before its first attempt has ended."""

_log = logging.getLogger(__name__)

_OPEN_PAUSE = partial(backoff, base=1.0, maximum=10.0, draw=lambda: 0.0)
# After a source that was open has failed for good: each attempt at a stuck driver leaves threads.
_LOST_PAUSE = partial(backoff, base=10.0, maximum=600.0, draw=lambda: 0.0)
_STABLE_S = 60.0  # Of frames, after which the pauses begin anew.
_JOIN_S = 1.0


class BackgroundSource:
    """Source of a camera that may be away for any time; a context manager, whose thread opens and closes it.

    Until it is open, :meth:`read` returns None. Without ``retries``, a live source is opened again for ever.

    Args:
        make_source: returns a new source for each attempt, given an event that ends waiting; may raise SourceError.
        name: until it is open.
        live: whether it is a camera or a stream, as far as that is known before it is open.
        retries: attempts to open it after the first one; None for no limit.
        on_frame: called when a frame has come, or the source has ended.
        title: of the camera, for messages.

    Attributes:
        problem: why the source is not open, or "".
    """

    def __init__(
        self,
        make_source: Callable[[threading.Event], Source],
        name: str,
        *,
        live: bool,
        retries: int | None,
        on_frame: Callable[[], None],
        title: str,
        open_pause: Callable[[int], float] = _OPEN_PAUSE,
        lost_pause: Callable[[int], float] = _LOST_PAUSE,
    ) -> None:
        self.problem = OPENING
        self._make_source = make_source
        self._name = name
        self._live = live
        self._retries = retries
        self._on_frame = on_frame
        self._title = title
        self._open_pause = open_pause
        self._lost_pause = lost_pause
        self._failures = FailureLog(_log)
        self._stop = threading.Event()  # Polled by the source; only this thread and its own wait for it.
        self._changed = threading.Event()  # The source failed, or is to be closed.
        self._source: Source | None = None
        self._error: SourceError | None = None  # Which the next read raises.
        self._ended = False
        self._thread = DaemonThread(self._run, f"open {title}")

    @property
    def name(self) -> str:
        source = self._source
        return self._name if source is None else source.name

    @property
    def live(self) -> bool:
        source = self._source
        return self._live if source is None else source.live

    @property
    def fps(self) -> float | None:
        source = self._source
        return None if source is None else source.fps

    @property
    def ended(self) -> bool:
        source = self._source
        return self._ended or (source is not None and source.ended)

    @property
    def counts(self) -> SourceCounts:
        source = self._source
        return SourceCounts(connected=False) if source is None else source.counts

    @property
    def unreadable(self) -> int:
        """Number of images of a folder that could not be read."""
        number: int = getattr(self._source, "unreadable", 0)
        return number

    def read(self, timeout: float) -> Frame | None:
        source = self._source
        if source is None:
            if self._error is not None:
                error, self._error, self._ended = self._error, None, True
                raise error
            if timeout:
                time.sleep(timeout)
            return None
        try:
            return source.read(timeout)
        except SourceError as error:
            if self._retries is not None or not source.live:
                self._ended = True
                raise
            self._source, self.problem = None, str(error)
            _log.warning("%s: %s; it will be opened again", self._title, error)
            self._changed.set()
            return None

    def stop(self) -> None:
        """Begin to close the source, without waiting for it."""
        self._stop.set()
        self._changed.set()

    def __enter__(self) -> BackgroundSource:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def __iter__(self) -> Iterator[Frame]:
        return iterate(self)

    # In the thread.

    def _run(self) -> None:
        losses = 0
        while not self._stop.is_set():
            source = self._open()
            if source is None:
                return
            opened = time.monotonic()
            try:
                self._changed.clear()
                if not self._stop.is_set():
                    self._source, self.problem = source, ""
                    self._on_frame()
                    self._changed.wait()
            finally:
                with contextlib.suppress(SourceError):
                    source.__exit__(None, None, None)
            losses = 0 if time.monotonic() - opened >= _STABLE_S else losses
            self._stop.wait(self._lost_pause(losses))
            losses += 1

    def _open(self) -> Source | None:
        """Return the opened source; None when it is to be closed, or no attempts are left."""
        attempts = 0
        while not self._stop.is_set():
            try:
                source = self._make_source(self._stop)
                source.__enter__()
            except EdgeSSDError as error:
                self.problem = str(error)
                if attempts == self._retries or not isinstance(error, SourceError):
                    self._error = SourceError(str(error))
                    self._on_frame()
                    return None
                self._failures.failed(
                    f"{self._title}: {error}; retrying until it is available, the others go on", cause=str(error)
                )
            else:
                self._failures.recovered(f"{self._title}: is available")
                return source
            self._stop.wait(self._open_pause(attempts))
            attempts += 1
        return None
