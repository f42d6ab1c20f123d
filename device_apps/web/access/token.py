"""Access token and session cookie of the web preview.

A cookie is its expiry time and an HMAC (RFC 2104) of it, with a key derived from the token: it does not reveal the
token, stays valid after a restart of the server, and becomes invalid with a new token.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from device_apps.secret_file import read_secret
from edge_ssd.errors import SettingError

__all__ = ["CREATE_TOKEN_HINT", "SESSION_S", "TOKEN_VARIABLE", "Token", "read_token"]

TOKEN_VARIABLE = "EDGE_SSD_WEB_TOKEN"
CREATE_TOKEN_HINT = "(umask 077; head -c 24 /dev/urandom | base64 > web.token), then --web-token-file web.token"
SESSION_S = 30 * 24 * 3600

_MIN_LENGTH = 16
_MAX_LENGTH = 1024


class Token:
    """Access token, compared in constant time. Its text never appears in ``repr``, messages or cookies.

    Raises SettingError unless ``secret`` has 16 to 1024 printable ASCII characters without spaces. ``clock`` returns
    seconds since the epoch.
    """

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        if not _MIN_LENGTH <= len(secret) <= _MAX_LENGTH:
            raise SettingError(
                f"the web token has {len(secret)} characters, from {_MIN_LENGTH} to {_MAX_LENGTH} are "
                f"needed; make one with {CREATE_TOKEN_HINT}"
            )
        if not all("!" <= character <= "~" for character in secret):
            raise SettingError(
                f"the web token must be one line of ASCII without spaces; make one with {CREATE_TOKEN_HINT}"
            )
        self._secret = secret.encode()
        self._key = hmac.digest(self._secret, b"edge-ssd web session", "sha256")
        self._clock = clock

    def matches(self, candidate: str) -> bool:
        # Digests have equal lengths, so that the comparison time does not reveal the token's length.
        digest = hashlib.sha256(candidate.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(digest, hashlib.sha256(self._secret).digest())

    def new_session(self) -> str:
        """Return the value of a session cookie that is valid for 30 days."""
        expiry = str(int(self._clock()) + SESSION_S)
        return f"{expiry}.{self._sign(expiry)}"

    def is_valid_session(self, cookie: str) -> bool:
        """Return True for a cookie that was signed with this token and has not expired."""
        expiry, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), self._sign(expiry).encode()):
            return False
        return int(expiry) > self._clock()

    def _sign(self, expiry: str) -> str:
        return hmac.new(self._key, expiry.encode("utf-8", "surrogateescape"), "sha256").hexdigest()


def read_token(path: Path | None, environment: Mapping[str, str] = os.environ) -> Token | None:
    """Read the token from ``path``, else from ``$EDGE_SSD_WEB_TOKEN``; None if neither is given.

    Logs a warning if other users can read the file. Raises SettingError if it is unreadable or the token is not valid.
    """
    secret = read_secret(path, "--web-token-file", TOKEN_VARIABLE, environment, CREATE_TOKEN_HINT)
    return None if secret is None else Token(secret)
