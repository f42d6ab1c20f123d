"""Keeps a device open: opens it anew when it ends or gives nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from device_apps.sources.crew import CapturePool
from device_apps.sources.frames import OnMessage
from device_apps.sources.grabbing import FrameReader
from device_apps.sources.latest_frame import LatestFrameBuffer
from edge_ssd.errors import SourceError

__all__ = ["CaptureWatchdog"]

_FIRST_FRAME_S = 20.0  # Longer than capture libraries take to say themselves that nothing is there.
_STABLE_S = 5.0  # A connection that holds so long ends a series of attempts.
_MOST_RUNNING = 4  # Capture threads at once; when all are stuck, one must return before the next is started.
_CLOSE_S = 0.5  # Longer than between two frames of any camera that still gives some.


class CaptureWatchdog:
    """The threads behind a source; for the arguments see :class:`~device_apps.sources.capture.CaptureSource`.

    Attributes:
        crew: the capture threads.
        stalls, abandoned: see :class:`~device_apps.sources.frames.SourceCounts`.
    """

    def __init__(
        self,
        open_grabber: Callable[[], FrameReader],
        name: str,
        slot: LatestFrameBuffer,
        *,
        retries: int | None,
        stall_timeout: float,
        explain: Callable[[], str] | None,
        notice: OnMessage,
        pause: Callable[[int], float],
    ) -> None:
        self.crew = CapturePool(open_grabber, name, slot)
        self.stalls = self.abandoned = 0
        self._name = name
        self._slot = slot
        self._retries = retries
        self._stall_timeout = stall_timeout
        self._explain = explain
        self._notice = notice
        self._pause = pause
        self._opening_s = 0.0  # How long the first opening took, up to its first frame.
        self._stalled = False  # In the present outage, so that it is counted once.
        self._thread = threading.Thread(target=self._run, name=f"watch {name}", daemon=True)

    def start(self) -> None:
        """Open the device; what becomes of it is seen in the slot."""
        self._thread.start()

    def close(self) -> None:
        """Let go of the device; one that is stuck is left behind after half a second."""
        self.crew.close()
        end = time.monotonic() + _CLOSE_S
        self._thread.join(_CLOSE_S)
        self.crew.join(max(end - time.monotonic(), 0.0))

    def _run(self) -> None:
        error: SourceError | None = None
        try:
            self._keep()
        except SourceError as reason:
            error = reason
        except Exception as reason:
            error = SourceError(f"{self._name}: reading failed: {type(reason).__name__}: {reason}")
        finally:
            self.crew.close()  # Whoever is still stuck is not wanted any more.
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
            while not self.crew.connected:
                if attempts == self._retries:
                    raise SourceError(
                        f"{self._name}: lost, and not back after {attempts} attempts; "
                        "check its power and its connection"
                    )
                if not stuck:  # Otherwise the limit has been waited for just now.
                    self.crew.wait(lambda: self.crew.connected, self._pause(attempts))
                attempts += 1
                stuck = self._open_again(patience=_FIRST_FRAME_S if attempts == self._retries else 0.0)
                if self.crew.closing:
                    return
            self._notice(f"{self._name} is back")

    def _open_first(self) -> None:
        """Until the first frame; raises why there is none."""
        crew = self.crew
        grabbing = crew.start()
        crew.wait(lambda: crew.connected or grabbing.over or not crew.live, _FIRST_FRAME_S)
        if not crew.live:  # A recording has all the time that it needs.
            crew.wait(lambda: crew.connected or grabbing.over, None)
        if crew.closing or crew.connected:
            return
        if isinstance(grabbing.error, SourceError) and self._explain is not None:
            raise SourceError(f"{self._name}: {self._explain()}")
        if grabbing.error is not None:
            raise grabbing.error
        reason = "it opens, but gives no picture" if grabbing.over else f"no picture within {_FIRST_FRAME_S:g} s"
        raise SourceError(f"{self._name}: {reason}; is another program using it, or is it switched off?")

    def _watch(self) -> bool:
        """Until the device ends or stalls, which is then said; False when there is nothing more to do."""
        seen = self.crew.watch(self._stall_timeout)
        if seen is None:
            return False
        ended, self._stalled = seen
        if not self.crew.live:
            if ended.error is not None:
                raise ended.error
            return False
        if self._stalled:
            self.stalls += 1
            self.abandoned += 1
            self._notice(f"{self._name} gives no picture for {self._stall_timeout:g} s; trying to get it back")
        else:
            why = f" ({type(ended.error).__name__})" if ended.error is not None else ""
            self._notice(f"lost {self._name}{why}; trying to get it back")
        return True

    def _open_again(self, patience: float) -> bool:
        """One attempt; True when it is stuck. Meanwhile an earlier one may come to a good end."""
        crew = self.crew
        # Twice what it took at first, so that a camera that always needs long is not asked for twice at once.
        limit = max(self._stall_timeout, 2 * self._opening_s, patience)
        if not crew.wait(lambda: crew.connected or crew.running < _MOST_RUNNING, limit):
            return True
        if crew.closing or crew.connected:
            return False
        grabbing = crew.start()
        if crew.wait(lambda: crew.connected or grabbing.over, limit) or crew.closing:
            return False
        self.abandoned += 1
        self.stalls += not self._stalled
        self._stalled = True
        return True
