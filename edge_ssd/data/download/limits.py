"""Limits of a download: a minimum speed and a total time, over all of its connections."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable
from typing import Any

__all__ = ["DownloadLimits", "TooSlowError", "response_class"]


class TooSlowError(Exception):
    """A limit of the download is exceeded; the message says which."""


class DownloadLimits:
    """Minimum speed and total time of a download.

    The speed counts while bytes arrive. A connection from which none arrives is the business of its timeout.

    Args:
        min_bytes_per_s: minimum speed, over ``window`` seconds.
        window: in seconds.
        max_seconds: total time, pauses and reconnects included.
        timeout: seconds without a byte after which the connection counts as dropped.
    """

    def __init__(
        self,
        *,
        min_bytes_per_s: float,
        window: float,
        max_seconds: float,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._min_bytes_per_s = min_bytes_per_s
        self._window = window
        self._max_seconds = max_seconds
        self._timeout = timeout
        self._clock = clock
        self._end = clock() + max_seconds
        self._seconds, self._bytes = 0.0, 0  # of the window that is measured now

    def next_timeout(self) -> float:
        """Return the seconds that the next bytes may take. Raises TooSlowError if the total time is over."""
        remaining = self._end - self._clock()
        if remaining <= 0:
            raise TooSlowError(f"not complete after {self._max_seconds:g} s")
        return min(self._timeout, remaining)

    def add(self, size: int, seconds: float) -> None:
        """Count ``size`` bytes that took ``seconds`` to arrive. Raises TooSlowError below the minimum speed."""
        self._bytes += size
        self._seconds += seconds
        if self._seconds < self._window:
            return
        if self._bytes < self._min_bytes_per_s * self._seconds:
            raise TooSlowError(f"less than {self._min_bytes_per_s / 1000:g} kB/s for {self._seconds:.0f} s")
        self._seconds, self._bytes = 0.0, 0

    def elapsed(self) -> Callable[[], float]:
        """Return a function that returns the seconds since this call."""
        start = self._clock()
        return lambda: self._clock() - start


class _LimitedReader(io.RawIOBase):
    """Raw stream of a socket under limits: the status line and the headers of a response count too."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, limits: DownloadLimits) -> None:
        self._raw = raw
        self._sock = sock
        self._limits = limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._limits.next_timeout())
        seconds = self._limits.elapsed()
        try:
            size = self._raw.readinto(buffer)
        except TimeoutError:
            self._limits.next_timeout()  # The total time may be over.
            raise
        if size:
            self._limits.add(size, seconds())
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


def response_class(limits: DownloadLimits) -> type[http.client.HTTPResponse]:
    """Return the class of responses that are read under ``limits``."""

    class LimitedResponse(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp = io.BufferedReader(_LimitedReader(self.fp.detach(), sock, limits))

    return LimitedResponse
