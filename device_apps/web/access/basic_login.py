"""User and password of the web preview, as HTTP Basic sends them (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from pathlib import Path

from device_apps.secret_file import read_secret
from edge_ssd.errors import SettingError

__all__ = ["LOGIN_VARIABLE", "BasicLogin", "read_login"]

LOGIN_VARIABLE = "EDGE_SSD_WEB_LOGIN"

_MIN_LENGTH, _MAX_LENGTH = 8, 1024
_HINT = "(umask 077; echo 'USER:PASSWORD' > web.login), then --web-login-file web.login"


class BasicLogin:
    """User and password, compared in constant time. Their text never appears in ``repr`` or messages.

    Raises SettingError unless ``secret`` is one line ``user:password`` with a password of 8 to 1024 characters.
    """

    def __init__(self, secret: str) -> None:
        user, colon, password = secret.partition(":")
        if not (colon and user) or not secret.isprintable():
            raise SettingError(f"the web login must be one line, USER:PASSWORD; make one with {_HINT}")
        if not _MIN_LENGTH <= len(password) <= _MAX_LENGTH:
            raise SettingError(
                f"the password of the web login has {len(password)} characters, from {_MIN_LENGTH} to {_MAX_LENGTH} "
                f"are needed; make one with {_HINT}"
            )
        self._digest = hashlib.sha256(secret.encode()).digest()

    def matches(self, credentials: str) -> bool:
        """Return whether these are right: ``user:password`` in UTF-8 and Base64."""
        try:
            candidate = base64.b64decode(credentials.encode("ascii", "replace"), validate=True)
        except binascii.Error:
            candidate = b""
        # Digests have equal lengths, so that the comparison time does not reveal the length.
        return hmac.compare_digest(hashlib.sha256(candidate).digest(), self._digest)


def read_login(path: Path | None, environment: Mapping[str, str] = os.environ) -> BasicLogin | None:
    """Read user and password from ``path``, else from ``$EDGE_SSD_WEB_LOGIN``; None if neither is given.

    Raises SettingError if the file is unreadable or its content not valid.
    """
    secret = read_secret(path, "--web-login-file", LOGIN_VARIABLE, environment, _HINT)
    return None if secret is None else BasicLogin(secret)
