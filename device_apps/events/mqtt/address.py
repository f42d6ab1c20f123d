"""Address of an MQTT broker, and the password and TLS settings to connect to it."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge_ssd.console.text import argument_text
from edge_ssd.errors import SettingError

__all__ = ["PASSWORD_VARIABLE", "MqttAddress", "create_tls_context", "parse_address", "read_password"]

PASSWORD_VARIABLE = "EDGE_SSD_MQTT_PASSWORD"

_PORTS = {"mqtt": 1883, "mqtts": 8883}  # as registered with IANA
_DEFAULT_PREFIX = "edge-ssd"


@dataclass(frozen=True)
class MqttAddress:
    """Address of a broker, and the prefix of all topics, without a slash at either end."""

    tls: bool
    host: str
    port: int
    user: str | None
    prefix: str

    def __str__(self) -> str:
        """Return the URL without user and prefix, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parse_address(url: str) -> MqttAddress:
    """Parse ``mqtt[s]://[user@]host[:port][/prefix]``. Raises SettingError if it is invalid or has a password."""
    expected = "expected mqtt://[user@]host[:port][/prefix], or mqtts://… for TLS"
    try:
        parts = urlsplit(argument_text(url))
        port = parts.port
    except ValueError as error:
        raise SettingError(f"--mqtt: {error}; {expected}") from None
    if parts.password is not None:  # Checked first: the other messages show the URL.
        raise SettingError(
            "--mqtt: every user of this machine can read a password in the address; leave it out, and use "
            f"--mqtt-password-file or the environment variable {PASSWORD_VARIABLE}"
        )
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        raise SettingError(f"--mqtt {url}: {expected}")
    prefix = unquote(parts.path).strip("/") or _DEFAULT_PREFIX
    # MQTT 5.0 §4.7: a topic name has no wildcards and no null character; names that start with $ are the broker's own.
    if re.search(r"[+#\x00-\x1f\x7f]|//", prefix) or prefix.startswith("$"):
        raise SettingError(f"--mqtt {url}: {prefix!r} is not a valid topic prefix")
    user = unquote(parts.username) if parts.username else None
    return MqttAddress(parts.scheme == "mqtts", parts.hostname, port or _PORTS[parts.scheme], user, prefix)


def read_password(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the password from a file (SettingError if unreadable), else from ``EDGE_SSD_MQTT_PASSWORD``, or None."""
    if file is None:
        return environment.get(PASSWORD_VARIABLE)
    try:
        password = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingError(f"--mqtt-password-file {file}: cannot be read: {reason}; check the file") from None
    return password.removesuffix("\n").removesuffix("\r")


def create_tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a TLS context that checks the broker's certificate and host name.

    Trusts the certificates in ``ca_file`` (PEM), or for None the system's. Raises SettingError if it is not usable.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingError(f"--mqtt-ca {ca_file}: cannot be used: {reason}; name a PEM file") from None
