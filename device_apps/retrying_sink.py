"""Sink that retries another sink after transient I/O errors: a full disk, a read-only card, a removed folder."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable

from device_apps.results import FrameResult, Sink
from device_apps.retry import FailureLog, backoff
from edge_ssd.errors import EdgeSSDError

__all__ = ["RetryingSink", "is_transient"]

_log = logging.getLogger(__name__)

# Disk full, unmounted or read-only, missing permission or folder, network down.
_TRANSIENT = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENETUNREACH, errno.ENODEV, errno.ENOENT, errno.ENOSPC}
    | {errno.ENOTCONN, errno.EPERM, errno.EROFS, errno.ESTALE, errno.ETIMEDOUT}
)
_MIN_PAUSE_S, _MAX_PAUSE_S = 10.0, 600.0


def is_transient(error: BaseException) -> bool:
    """Return whether an error, or the OSError that caused it, can go away while the program runs."""
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    return isinstance(cause, OSError) and cause.errno in _TRANSIENT


class RetryingSink:
    """Sink that passes results to another one and retries it after transient errors; other errors end the loop.

    Pauses between attempts are 10, 20, 40, … up to 600 seconds; detection and the other sinks go on. The first error
    and the recovery are logged, with ``name``, such as the path of the file.

    Attributes:
        lost: number of results that were not written.
    """

    def __init__(self, sink: Sink, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.lost = 0
        self._sink = sink
        self._name = name
        self._clock = clock
        self._failures = FailureLog(_log)
        self._attempt = 0  # Failed attempts since the present failure began.
        self._retry_at = 0.0
        self._lost_before = 0  # When the present failure began.

    @property
    def finished(self) -> bool:
        return self._sink.finished

    def write(self, result: FrameResult) -> None:
        if self._failures.failing and self._clock() < self._retry_at:
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
            self._attempt = 0
            self._failures.recovered(f"{self._name}: writing again; results lost: {self.lost - self._lost_before}")

    def idle(self) -> None:
        try:
            self._sink.idle()
        except (EdgeSSDError, OSError) as error:
            if not is_transient(error):
                raise
            self._fail(error)

    def _fail(self, error: EdgeSSDError | OSError) -> None:
        if not self._failures.failing:
            self._lost_before = self.lost
        reason = str(error) if isinstance(error, EdgeSSDError) else f"{self._name}: {error.strerror or error}"
        self._failures.failed(f"{reason}; detection goes on, retrying in 10 s, then less often")
        pause = backoff(self._attempt, base=_MIN_PAUSE_S, maximum=_MAX_PAUSE_S, draw=lambda: 0.0)
        self._retry_at = self._clock() + pause
        self._attempt += 1
        self.lost += 1
