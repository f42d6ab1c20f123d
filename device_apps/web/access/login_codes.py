"""One-time codes that sign in a device without typing the token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

__all__ = ["CODE_S", "CodeState", "LoginCodes"]

CODE_S = 300.0
"""Seconds for which a code is valid."""

_MAX_CODES = 16  # The oldest one is forgotten for each new one.
_CODE_BYTES = 16


class CodeState(Enum):
    """What a code is: valid, or why it is not."""

    VALID = "valid"
    USED = "used"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass
class _Code:
    digest: bytes
    end: float  # Of its validity, in seconds of the clock.
    is_used: bool = False


class LoginCodes:
    """Random codes of 128 bits, each valid once and for five minutes; the newest 16 are kept, as digests.

    Thread-safe. ``clock`` returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._codes: deque[_Code] = deque(maxlen=_MAX_CODES)
        self._lock = threading.Lock()

    def new(self) -> str:
        """Return a new code: 22 characters that need no escape in a URL."""
        code = secrets.token_urlsafe(_CODE_BYTES)
        with self._lock:
            self._codes.append(_Code(_digest(code), self._clock() + CODE_S))
        return code

    def redeem(self, candidate: str) -> CodeState:
        """Return whether a code is valid, which it then no longer is, or why it is not."""
        digest, found = _digest(candidate), None
        with self._lock:
            for code in self._codes:  # All of them, so that the time does not depend on which one it is.
                if hmac.compare_digest(code.digest, digest):
                    found = code
            if found is None:
                return CodeState.UNKNOWN
            if found.is_used:
                return CodeState.USED
            if found.end <= self._clock():
                return CodeState.EXPIRED
            found.is_used = True
            return CodeState.VALID


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogateescape")).digest()
