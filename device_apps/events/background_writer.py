"""A thread that does slow work, on a disk or a network, so that the camera loop never waits for it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from device_apps.sources.frames import OnMessage

__all__ = ["BackgroundWriter"]

_T = TypeVar("_T")

_TRY_AGAIN_S = 1.0


class BackgroundWriter(Generic[_T]):
    """Hands items to ``handle``, one after the other and in order, in a thread of its own.

    What ``handle`` cannot do (it raises OSError: a full disk) is tried again every second, and meanwhile items wait.
    A person is told once that it fails and once that it works again. Where items come faster than they can be
    handled, at most ``capacity`` wait; those that find no room are counted and let go.

    Args:
        name: of what is written to, for messages.
        handle: does the work.
        capacity: items that may wait.
        notice: is told what a person should know.

    Attributes:
        lost: items that found no room, or were still waiting when the time to finish was over.
        failure: set when the reader of a pipe went away, after which nothing is done any more.
    """

    def __init__(self, name: str, handle: Callable[[_T], None], capacity: int, notice: OnMessage) -> None:
        self.lost = 0
        self.failure: BrokenPipeError | None = None
        self._name = name
        self._handle = handle
        self._notice = notice
        self._queue: queue.Queue[_T | None] = queue.Queue(capacity)
        self._closing = threading.Event()
        self._done = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name=f"writer of {name}", daemon=True)
        self._thread.start()

    def put(self, item: _T) -> bool:
        """Leave an item to the thread; False, and counted, where there is no room. Never waits."""
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            if not self.lost:
                self._notice(f"{self._name}: more comes than can be written; what finds no room is left out")
            self.lost += 1
            return False
        return True

    def close(self, deadline: float) -> bool:
        """Let the thread finish what waits, but no longer than until ``deadline`` (``time.monotonic()``).

        True when it is done. A thread that is stuck in a write, as on a network disk that went away, is left behind:
        it cannot be ended. Called again, this does nothing.
        """
        if self._closing.is_set():
            return False
        self._closing.set()
        while not self._done.is_set():
            try:
                self._queue.put(None, timeout=max(0.0, min(0.05, deadline - time.monotonic())))
                break
            except queue.Full:  # The thread makes room, unless it is stuck.
                if time.monotonic() >= deadline:
                    break
        done = self._done.wait(max(0.0, deadline - time.monotonic()))
        if not done:
            self.lost += max(1, self._queue.qsize())
        if self.lost:
            self._notice(f"{self._name}: {self.lost} could not be written and were left out")
        return done

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                self._do(item)
        except BrokenPipeError as error:
            self.failure = error
        finally:
            self._done.set()

    def _do(self, item: _T) -> None:
        while True:
            try:
                self._handle(item)
            except BrokenPipeError:
                raise
            except OSError as error:
                if not self._failing:
                    self._failing = True
                    self._notice(
                        f"{self._name}: cannot be written: {error.strerror or error}; "
                        "detection goes on, and it is tried again"
                    )
                if self._closing.wait(_TRY_AGAIN_S):
                    self.lost += 1
                    return
            else:
                if self._failing:
                    self._failing = False
                    lost = f"; {self.lost} were left out" if self.lost else ""
                    self._notice(f"{self._name}: can be written again{lost}")
                return
