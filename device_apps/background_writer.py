"""Thread that writes to a disk or a network, so that the camera loop never waits for it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from device_apps.daemon_thread import DaemonThread
from device_apps.retry import FailureLog
from edge_ssd.errors import EdgeSSDError

__all__ = ["BackgroundWriter"]

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class BackgroundWriter(Generic[_T]):
    """Thread that calls ``handle`` with each queued item, in order.

    An item for which ``handle`` raises OSError (a full disk) is retried every ``retry_seconds``; the other items wait.
    The first failure and the recovery are logged. An item is dropped and counted when ``capacity`` items are queued, or
    when ``handle`` raises another exception, which ends the program; the other items are still written.

    Attributes:
        lost: number of items that were dropped, or still waited when the writer was closed.
        failure: the error that should end the program: the reader closed the pipe, and the thread has ended; or what
            ``handle`` raised.
    """

    def __init__(self, name: str, handle: Callable[[_T], None], capacity: int, retry_seconds: float = 1.0) -> None:
        self.lost = 0
        self.failure: BrokenPipeError | EdgeSSDError | None = None
        self._name = name
        self._handle = handle
        self._retry_seconds = retry_seconds
        self._queue: queue.Queue[_T | None] = queue.Queue(capacity)
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._failures = FailureLog(_log)
        self._thread = DaemonThread(self._run, f"writer of {name}")
        self._thread.start()

    def put(self, item: _T) -> bool:
        """Enqueue without blocking; return False, and count the item as lost, if the queue is full."""
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            self.drop()
            return False
        return True

    def drop(self) -> None:
        """Count an item as lost, which is not enqueued."""
        if not self.lost:
            _log.warning("%s: items arrive faster than they can be written; some are dropped", self._name)
        self.lost += 1

    def close(self, deadline: float) -> bool:
        """Write the queued items until ``deadline`` (``time.monotonic()``) and end; further calls do nothing.

        Return whether the thread has ended. A thread that is blocked in a write, as on a network disk that went away,
        is abandoned.
        """
        if self._closing.is_set():
            return False
        self._closing.set()
        ends = 0
        while not self._ended.is_set():
            try:
                self._queue.put(None, timeout=max(0.0, min(0.05, deadline - time.monotonic())))
                ends = 1
                break
            except queue.Full:  # The thread makes room, unless it is blocked.
                if time.monotonic() >= deadline:
                    break
        ended = self._ended.wait(max(0.0, deadline - time.monotonic()))
        if not ended:
            self.lost += max(0, self._queue.unfinished_tasks - ends)
        if self.lost:
            _log.warning("%s: %d could not be written and were dropped", self._name, self.lost)
        return ended

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                self._write(item)
                self._queue.task_done()
        except BrokenPipeError as error:
            self.failure = error
        finally:
            self._ended.set()

    def _write(self, item: _T) -> None:
        while True:
            try:
                self._handle(item)
            except BrokenPipeError:
                raise
            except OSError as error:
                reason = error.strerror or error
                self._failures.failed(f"{self._name}: cannot be written: {reason}; detection goes on, will retry")
                if self._closing.wait(self._retry_seconds):
                    self.lost += 1
                    return
            except Exception as error:
                self.lost += 1
                if self.failure is None:
                    self.failure = EdgeSSDError(
                        f"{self._name}: cannot be written: {type(error).__name__}: {error}; --debug shows where"
                    )
                    self.failure.__cause__ = error
                return
            else:
                dropped = f"; {self.lost} were dropped" if self.lost else ""
                self._failures.recovered(f"{self._name}: can be written again{dropped}")
                return
