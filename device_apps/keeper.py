"""Keeps a device open: watches the thread that reads it, and opens it anew when it ends or gives nothing.

Who was giving frames when it stalled is never listened to again: what it still holds is old. Who is slow to open may
yet be the first to give a frame, while another attempt is made beside it: a camera that needs long must not be given
up over and over just before it is there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from device_apps.frame_slot import FrameSlot
from device_apps.frames import Image, Notice
from device_apps.grabbing import Grabber, Grabbing
from edge_ssd.errors import SourceError

__all__ = ["Keeper"]

_FIRST_FRAME_S = 20.0  # Longer than capture libraries take to say themselves that nothing is there.
_STABLE_S = 5.0  # A connection that holds so long ends a series of attempts.
_MOST_RUNNING = 4  # Capture threads at once; when all are stuck, one must return before the next is started.
_CLOSE_S = 0.5  # Longer than between two frames of any camera that still gives some.


class Keeper:
    """The threads behind a source; for the arguments see :class:`~device_apps.capture.CaptureSource`.

    Attributes:
        live, fps: of the device; ``live`` as it was first opened.
        stalls, openings, abandoned: what :class:`~device_apps.frames.SourceCounts` says of them; ``openings`` are
            those that gave a frame, the first included.
        connected: True while the device gives frames.
    """

    def __init__(
        self,
        open_grabber: Callable[[], Grabber],
        name: str,
        slot: FrameSlot,
        *,
        retries: int | None,
        stall_timeout: float,
        explain: Callable[[], str] | None,
        notice: Notice,
        pause: Callable[[int], float],
    ) -> None:
        self.live = True
        self.fps: float | None = None
        self.stalls = self.openings = self.abandoned = 0
        self._open = open_grabber
        self._name = name
        self._slot = slot
        self._retries = retries
        self._stall_timeout = stall_timeout
        self._explain = explain
        self._notice = notice
        self._pause = pause
        self._opening_s = 0.0  # How long the first opening took, up to its first frame.
        self._stalled = False  # In the present outage, so that it is counted once.
        self._watcher = threading.Thread(target=self._run, name=f"watch {name}", daemon=True)
        # The condition guards everything below; the watcher alone waits for it.
        self._news = threading.Condition()
        self._closing = False
        self._running: list[Grabbing] = []
        self._current: Grabbing | None = None
        self._frame_at = 0.0

    @property
    def connected(self) -> bool:
        return self._current is not None

    def start(self) -> None:
        """Open the device; what becomes of it is seen in the slot."""
        self._watcher.start()

    def close(self) -> None:
        """Let go of the device; one that is stuck is left behind after half a second."""
        with self._news:
            self._closing = True
            self._news.notify()
            running = tuple(self._running)
        end = time.monotonic() + _CLOSE_S
        self._watcher.join(_CLOSE_S)
        for grabbing in running:
            grabbing.join(max(end - time.monotonic(), 0.0))

    # What a capture thread says: this is its owner.

    def opened(self, grabbing: Grabbing, grabber: Grabber) -> bool:
        """See :class:`~device_apps.grabbing.Owner`."""
        with self._news:
            if self.openings == 0:
                self.live = grabber.live
            self.fps = grabber.fps
            return self._wants(grabbing)

    def give(self, grabbing: Grabbing, image: Image, captured_at: float, read_seconds: float) -> bool:
        """See :class:`~device_apps.grabbing.Owner`."""
        with self._news:
            if not self._wants(grabbing):
                return False
            if self._current is None:
                self._follow(grabbing)
            self._frame_at = captured_at
            if self.live:  # Under the lock, so that no frame of a thread that was left behind slips in.
                self._slot.put(image, captured_at, read_seconds, in_turn=False)
                return True
        self._slot.put(image, captured_at, read_seconds, in_turn=True)
        return True

    def ended(self, grabbing: Grabbing, error: Exception | None) -> None:
        """See :class:`~device_apps.grabbing.Owner`."""
        with self._news:
            grabbing.over, grabbing.error = True, error
            self._running.remove(grabbing)
            self._news.notify()

    def _wants(self, grabbing: Grabbing) -> bool:
        return not (self._closing or grabbing.left)

    def _follow(self, grabbing: Grabbing) -> None:
        self._current = grabbing
        self.openings += 1
        for other in self._running:
            other.left = other is not grabbing
        self._news.notify()

    # What follows runs in the watcher.

    def _run(self) -> None:
        error: SourceError | None = None
        try:
            self._keep()
        except SourceError as reason:
            error = reason
        except Exception as reason:
            error = SourceError(f"{self._name}: reading failed: {type(reason).__name__}: {reason}")
        finally:
            with self._news:
                self._closing = True  # Whoever is still stuck is not wanted any more.
                self._current = None
            self._slot.end(error)

    def _keep(self) -> None:
        start = time.monotonic()
        self._open_first()
        self._opening_s = time.monotonic() - start
        attempts = 0
        while True:
            start = time.monotonic()
            if not self._watch():
                return
            # One that breaks off at once, again and again, must not be asked for at full speed for ever.
            attempts = 0 if time.monotonic() - start >= _STABLE_S else attempts
            stuck = self._stalled
            while not self.connected:
                if attempts == self._retries:
                    raise SourceError(
                        f"{self._name}: lost, and not back after {attempts} attempts; "
                        "check its power and its connection"
                    )
                if not stuck:  # Otherwise the limit has been waited for just now.
                    self._wait(lambda: self.connected, self._pause(attempts))
                attempts += 1
                stuck = self._open_again(patience=_FIRST_FRAME_S if attempts == self._retries else 0.0)
                if self._closing:
                    return
            self._notice(f"{self._name} is back")

    def _open_first(self) -> None:
        """Until the first frame; raises why there is none."""
        grabbing = self._start()
        self._wait(lambda: self.connected or grabbing.over or not self.live, _FIRST_FRAME_S)
        if not self.live:  # A recording has all the time that it needs.
            self._wait(lambda: self.connected or grabbing.over, None)
        if self._closing or self.connected:
            return
        if isinstance(grabbing.error, SourceError) and self._explain is not None:
            raise SourceError(f"{self._name}: {self._explain()}")
        if grabbing.error is not None:
            raise grabbing.error
        reason = "it opens, but gives no picture" if grabbing.over else f"no picture within {_FIRST_FRAME_S:g} s"
        raise SourceError(f"{self._name}: {reason}; is another program using it, or is it switched off?")

    def _watch(self) -> bool:
        """Until the device ends or stalls, which is then said; False when there is nothing more to do."""
        current = self._current
        with self._news:
            while current is not None and not (self._closing or current.over):
                rest = self._frame_at + self._stall_timeout - time.monotonic() if self.live else None
                if rest is not None and rest <= 0:
                    break
                self._news.wait(rest)
            if self._closing or current is None:
                return False
            self._current, current.left = None, True
            self._stalled = not current.over
            self.stalls += self._stalled
            self.abandoned += self._stalled
        if not self.live:
            if current.error is not None:
                raise current.error
            return False
        if self._stalled:
            self._notice(f"{self._name} gives no picture for {self._stall_timeout:g} s; trying to get it back")
        else:
            why = f" ({type(current.error).__name__})" if current.error is not None else ""
            self._notice(f"lost {self._name}{why}; trying to get it back")
        return True

    def _open_again(self, patience: float) -> bool:
        """One attempt; True when it is stuck. Meanwhile an earlier one may come to a good end."""
        self._wait(lambda: self.connected or len(self._running) < _MOST_RUNNING, None)
        if self._closing or self.connected:
            return False
        grabbing = self._start()
        # Twice what it took at first, so that a camera that always needs long is not asked for twice at once.
        limit = max(self._stall_timeout, 2 * self._opening_s, patience)
        if self._wait(lambda: self.connected or grabbing.over, limit) or self._closing:
            return False
        self.abandoned += 1
        self.stalls += not self._stalled
        self._stalled = True
        return True

    def _start(self) -> Grabbing:
        grabbing = Grabbing(self._open, self, self._name)
        with self._news:  # Which the thread needs before it can end, and be taken from the list.
            grabbing.start()
            self._running.append(grabbing)
        return grabbing

    def _wait(self, condition: Callable[[], bool], seconds: float | None) -> bool:
        """Until the condition holds, which is the answer, the source is closed, or so many seconds are over."""
        with self._news:
            self._news.wait_for(lambda: self._closing or condition(), seconds)
            return condition()
