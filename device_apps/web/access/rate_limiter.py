"""Limit of wrong tokens and passwords.

Right ones are compared first and always enter, so that no stranger can lock the owner out. Wrong ones are answered
later, and the number of connections of a client is limited, so that guessing is slow.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from device_apps.web.access.visit import network_of

__all__ = ["LoginRateLimiter"]

_WINDOW_S = 60.0
_MAX_FAILURES = 5  # In the window, from one address.
_MAX_FAILURES_TOTAL = 100
_MAX_ADDRESSES = 1000


class LoginRateLimiter:
    """Limiter of wrong tokens: five a minute from one address, a hundred in all."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all: deque[float] = deque()
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()  # Last failure last.

    def retry_after(self, client: str) -> float:
        """Return the seconds until a wrong token of the IP address ``client`` is answered at once again; 0 for now."""
        now = self._clock()
        own_failures = self._by_address.get(network_of(client), deque())
        for times, limit in ((own_failures, _MAX_FAILURES), (self._all, _MAX_FAILURES_TOTAL)):
            while times and times[0] <= now - _WINDOW_S:
                times.popleft()
            if len(times) >= limit:
                return times[0] + _WINDOW_S - now
        return 0.0

    def record_failure(self, client: str) -> None:
        """Count a wrong token from the IP address ``client``."""
        now, network = self._clock(), network_of(client)
        self._by_address.setdefault(network, deque(maxlen=_MAX_FAILURES)).append(now)
        self._by_address.move_to_end(network)
        if len(self._by_address) > _MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        self._all.append(now)
        if len(self._all) > _MAX_FAILURES_TOTAL:
            self._all.popleft()
