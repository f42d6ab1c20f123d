"""Access token, session cookie and login rate limit of the web preview.

A cookie is its expiry time and an HMAC (RFC 2104) of it, with a key derived from the token: it does not reveal the
token, stays valid after a restart of the server, and becomes invalid with a new token.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from pathlib import Path

from edge_ssd.errors import SettingError

__all__ = ["CREATE_TOKEN_HINT", "SESSION_S", "TOKEN_VARIABLE", "LoginRateLimiter", "Token", "read_token"]

_log = logging.getLogger(__name__)

TOKEN_VARIABLE = "EDGE_SSD_WEB_TOKEN"
CREATE_TOKEN_HINT = "(umask 077; head -c 24 /dev/urandom | base64 > web.token), then --web-token-file web.token"
SESSION_S = 30 * 24 * 3600

_MIN_LENGTH = 16
_MAX_LENGTH = 1024

_WINDOW_S = 60.0
_MAX_FAILURES = 5  # In the window, from one address.
_MAX_FAILURES_TOTAL = 100
_MAX_ADDRESSES = 1000


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
    if path is None:
        secret = environment.get(TOKEN_VARIABLE)
        return None if secret is None else Token(secret.strip())
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_LENGTH + 100).decode()
            readable_by_others = os.fstat(file.fileno()).st_mode & 0o077
    except OSError as error:
        raise SettingError(f"--web-token-file {path}: {error.strerror}; make one with {CREATE_TOKEN_HINT}") from None
    except UnicodeDecodeError:
        raise SettingError(f"--web-token-file {path}: not a text file; make one with {CREATE_TOKEN_HINT}") from None
    if readable_by_others:
        _log.warning("%s: other users of this machine can read the web token; chmod 600 %s", path, path)
    return Token(text.strip())


class LoginRateLimiter:
    """Limiter of wrong tokens: five a minute from one address, a hundred in all. Sessions are not limited."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all: deque[float] = deque()
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()  # Last failure last.

    def retry_after(self, client: str) -> float:
        """Return the seconds until the IP address ``client`` may try a token again; 0 if it may now."""
        now = self._clock()
        own_failures = self._by_address.get(_network(client), deque())
        for times, limit in ((own_failures, _MAX_FAILURES), (self._all, _MAX_FAILURES_TOTAL)):
            while times and times[0] <= now - _WINDOW_S:
                times.popleft()
            if len(times) >= limit:
                return times[0] + _WINDOW_S - now
        return 0.0

    def record_failure(self, client: str) -> None:
        """Count a wrong token from the IP address ``client``."""
        now, network = self._clock(), _network(client)
        self._by_address.setdefault(network, deque(maxlen=_MAX_FAILURES)).append(now)
        self._by_address.move_to_end(network)
        if len(self._by_address) > _MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        self._all.append(now)
        if len(self._all) > _MAX_FAILURES_TOTAL:
            self._all.popleft()


def _network(client: str) -> str:
    """Return the unit that is limited: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if address.version == 6 and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return client if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
