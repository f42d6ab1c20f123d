"""A sink that gets over a full disk.

A device runs for months, and its disk fills up, its memory card is remounted read-only, somebody removes a folder.
Detection must not end for that: other sinks, a pin or a broker, are still there. So what can heal is said once, the
results are counted that are not written, and the sink is tried again; what cannot heal ends the loop.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable

from device_apps.results import FrameResult, Sink
from device_apps.sources.frames import OnMessage
from edge_ssd.errors import EdgeSSDError

__all__ = ["RetryingSink", "is_transient"]

# Somebody makes room, mounts the disk again, corrects a permission, brings the folder or the network back.
_HEALING = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENETUNREACH, errno.ENODEV, errno.ENOENT, errno.ENOSPC}
    | {errno.ENOTCONN, errno.EPERM, errno.EROFS, errno.ESTALE, errno.ETIMEDOUT}
)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 10.0, 600.0  # Between attempts; doubled each time that one fails.


def is_transient(error: BaseException) -> bool:
    """Whether this, or the system's error that it was made from, can go away by itself or by somebody's hand."""
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    return isinstance(cause, OSError) and cause.errno in _HEALING


class RetryingSink:
    """Another sink, tried again where it fails for a reason that can heal.

    Tried again after 10 seconds, then after 20, 40 and so on up to 10 minutes. One line says that it failed, one
    that it works again.

    Args:
        sink: the other one.
        name: what to call it, such as the path of its file.
        notice: is given the lines.
        clock: seconds, increasing.

    Attributes:
        lost: results that were not written so far.
    """

    def __init__(self, sink: Sink, name: str, notice: OnMessage, clock: Callable[[], float] = time.monotonic) -> None:
        self.lost = 0
        self._sink = sink
        self._name = name
        self._notice = notice
        self._clock = clock
        self._failing = False
        self._wait = _FIRST_WAIT_S
        self._next = 0.0
        self._lost_before = 0

    @property
    def finished(self) -> bool:
        return self._sink.finished

    def write(self, result: FrameResult) -> None:
        if self._failing and self._clock() < self._next:
            self.lost += 1
            return
        try:
            self._sink.write(result)
        except BrokenPipeError:
            raise
        except (EdgeSSDError, OSError) as error:
            if not is_transient(error):
                raise
            self._fail(error)
        else:
            if self._failing:
                self._failing = False
                missing = self.lost - self._lost_before
                self._notice(f"{self._name}: is written again; results left out meanwhile: {missing}")

    def idle(self) -> None:
        self._sink.idle()

    def _fail(self, error: EdgeSSDError | OSError) -> None:
        self._wait = min(2 * self._wait, _LONGEST_WAIT_S) if self._failing else _FIRST_WAIT_S
        self._next = self._clock() + self._wait
        if not self._failing:
            self._failing = True
            self._lost_before = self.lost
            reason = str(error) if isinstance(error, EdgeSSDError) else f"{self._name}: {error.strerror or error}"
            self._notice(f"{reason}; detection goes on, and this is tried again in 10 s, then less often")
        self.lost += 1
