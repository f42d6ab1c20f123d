"""HTTP logins: Basic (RFC 7617) and Digest (RFC 7616), which most cameras ask for."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
from collections.abc import Iterable

__all__ = ["HttpLogin", "can_answer"]

_ALGORITHMS = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_CHALLENGE = re.compile(r"(?:^|,)\s*(Basic|Digest)(?=\s|,|$)", re.IGNORECASE)
_PARAMETER = re.compile(r'([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))')


class HttpLogin:
    """User and password of one server, and the challenge that it sent last."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password
        self._challenge: dict[str, str] | None = None
        self._basic = False
        self._count = 0

    def challenge(self, headers: Iterable[str]) -> bool:
        """Take the values of ``WWW-Authenticate`` of a 401 response; return whether another request may succeed.

        Digest is preferred, because Basic sends the password itself. A second challenge means that the password is
        wrong, unless it says that only the nonce is too old.
        """
        digests, basic = [], False
        for header in headers:
            starts = [*_CHALLENGE.finditer(header)]
            for match, following in itertools.zip_longest(starts, starts[1:]):
                end = len(header) if following is None else following.start()
                found = {
                    name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
                    for name, quoted, plain in _PARAMETER.findall(header[match.end() : end])
                }
                if match[1].lower() == "basic":
                    basic = True
                elif _algorithm(found) in _ALGORITHMS and "nonce" in found:
                    digests.append(found)
        tried = self._basic or self._challenge is not None
        if digests:
            chosen = max(digests, key=lambda found: _algorithm(found) == "SHA-256")
            again = not tried or chosen.get("stale", "").lower() == "true"
            self._challenge, self._basic, self._count = chosen, False, 0
            return again
        self._challenge, self._basic = None, basic
        return basic and not tried

    def authorization(self, method: str, target: str) -> str | None:
        """Return the value of ``Authorization`` for a request, or None before the first challenge."""
        if self._basic:
            return "Basic " + base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        if self._challenge is None:
            return None
        return self._digest(self._challenge, method, target)

    def _digest(self, challenge: dict[str, str], method: str, target: str) -> str:
        algorithm = _algorithm(challenge)
        realm, nonce = challenge.get("realm", ""), challenge["nonce"]
        client_nonce = os.urandom(8).hex()
        self._count += 1
        count = f"{self._count:08x}"

        def digest(*parts: str) -> str:
            return _ALGORITHMS[algorithm](":".join(parts).encode()).hexdigest()

        secret = digest(self._user, realm, self._password)
        session = challenge.get("algorithm", "").lower().endswith("-sess")
        if session:
            secret = digest(secret, nonce, client_nonce)
        request = digest(method, target)
        fields = {"username": self._user, "realm": realm, "nonce": nonce, "uri": target}
        extra = ""
        if session:
            fields["cnonce"] = client_nonce
        if "auth" in re.split(r"[\s,]+", challenge.get("qop", "").lower()):
            fields["response"] = digest(secret, nonce, count, client_nonce, "auth", request)
            fields["cnonce"] = client_nonce
            extra = f", qop=auth, nc={count}"
        else:
            fields["response"] = digest(secret, nonce, request)
        if "opaque" in challenge:
            fields["opaque"] = challenge["opaque"]
        if "algorithm" in challenge:
            extra += f", algorithm={challenge['algorithm']}"
        quoted = (f'{name}="{_escape(value)}"' for name, value in fields.items())
        return "Digest " + ", ".join(quoted) + extra


def can_answer(headers: Iterable[str]) -> bool:
    """Return whether one of the values of ``WWW-Authenticate`` asks for a login that is known here."""
    return HttpLogin("", "").challenge(headers)


def _algorithm(challenge: dict[str, str]) -> str:
    name = challenge.get("algorithm", "MD5").upper()
    return name.removesuffix("-SESS")


def _escape(text: str) -> str:
    # A header is sent as Latin-1: the bytes of UTF-8 pass as its letters.
    return text.replace("\\", "\\\\").replace('"', '\\"').encode().decode("latin-1")
