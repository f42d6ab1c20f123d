"""Who may look: the token, the cookie that stands for it in a browser, and a limit to guessing.

The cookie is its end of validity and an HMAC (RFC 2104) over that, with a key derived from the token. So it is not
the token, it outlives a restart of the server, and a new token ends every session.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from pathlib import Path

from device_apps.sources.frames import OnMessage
from edge_ssd.errors import SettingError

__all__ = ["HOW_TO_MAKE_ONE", "VARIABLE", "LoginRateLimiter", "Token", "read_token"]

VARIABLE = "EDGE_SSD_WEB_TOKEN"
HOW_TO_MAKE_ONE = "(umask 077; head -c 24 /dev/urandom | base64 > web.token), then --web-token-file web.token"
SESSION_S = 30 * 24 * 3600

_LEAST_CHARACTERS = 16
_MOST_CHARACTERS = 1024

_WINDOW_S = 60.0
_MOST_GUESSES = 5  # In that window, from one address.
_MOST_GUESSES_OF_ALL = 100
_MOST_ADDRESSES = 1000


class Token:
    """A secret, compared in constant time. Its text never appears in ``repr``, messages or cookies."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        """Raises :class:`SettingError` for a secret that could be guessed, or not be sent in a header."""
        if not _LEAST_CHARACTERS <= len(secret) <= _MOST_CHARACTERS:
            raise SettingError(
                f"the web token has {len(secret)} characters, from {_LEAST_CHARACTERS} to {_MOST_CHARACTERS} are "
                f"needed; make one with {HOW_TO_MAKE_ONE}"
            )
        if not all("!" <= character <= "~" for character in secret):
            raise SettingError(
                f"the web token must be one line of ASCII without spaces; make one with {HOW_TO_MAKE_ONE}"
            )
        self._secret = secret.encode()
        self._key = hmac.digest(self._secret, b"edge-ssd web session", "sha256")
        self._clock = clock

    def matches(self, candidate: str) -> bool:
        # Digests have one length, so that not even the length of the token can be timed.
        theirs = hashlib.sha256(candidate.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(theirs, hashlib.sha256(self._secret).digest())

    def new_session(self) -> str:
        """The value of a cookie that is valid for 30 days."""
        end = str(int(self._clock()) + SESSION_S)
        return f"{end}.{self._sign(end)}"

    def knows_session(self, cookie: str) -> bool:
        end, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "surrogateescape"), self._sign(end).encode()):
            return False
        return int(end) > self._clock()

    def _sign(self, end: str) -> str:
        return hmac.new(self._key, end.encode("utf-8", "surrogateescape"), "sha256").hexdigest()


def read_token(path: Path | None, notice: OnMessage, environment: Mapping[str, str] = os.environ) -> Token | None:
    """The token of a file, else of the environment, else None; raises :class:`SettingError` for a useless one."""
    if path is None:
        secret = environment.get(VARIABLE)
        return None if secret is None else Token(secret.strip())
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_CHARACTERS + 100).decode()
            readable_by_others = os.fstat(file.fileno()).st_mode & 0o077
    except OSError as error:
        raise SettingError(f"--web-token-file {path}: {error.strerror}; make one with {HOW_TO_MAKE_ONE}") from None
    except UnicodeDecodeError:
        raise SettingError(f"--web-token-file {path}: not a text file; make one with {HOW_TO_MAKE_ONE}") from None
    if readable_by_others:
        notice(f"{path}: other users of this machine can read the web token; chmod 600 {path}")
    return Token(text.strip())


class LoginRateLimiter:
    """Counts wrong tokens: five a minute from one address, a hundred from all, and then nothing is compared.

    Whoever has a session is not concerned.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._all: deque[float] = deque()
        self._by_address: OrderedDict[str, deque[float]] = OrderedDict()  # Those that guessed last are last.

    def wait_s(self, client: str) -> float:
        """Seconds until this address may try again; 0 for now."""
        now = self._clock()
        mine = self._by_address.get(_network(client), deque())
        for times, most in ((mine, _MOST_GUESSES), (self._all, _MOST_GUESSES_OF_ALL)):
            while times and times[0] <= now - _WINDOW_S:
                times.popleft()
            if len(times) >= most:
                return times[0] + _WINDOW_S - now
        return 0.0

    def add(self, client: str) -> None:
        """Count a wrong token."""
        now, network = self._clock(), _network(client)
        self._by_address.setdefault(network, deque(maxlen=_MOST_GUESSES)).append(now)
        self._by_address.move_to_end(network)
        if len(self._by_address) > _MOST_ADDRESSES:
            self._by_address.popitem(last=False)
        self._all.append(now)
        if len(self._all) > _MOST_GUESSES_OF_ALL:
            self._all.popleft()


def _network(client: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that an IPv6 household has to itself."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if address.version == 6 and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return client if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
