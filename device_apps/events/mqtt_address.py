"""Where the broker is, and how to be let in."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge_ssd.errors import SettingError

__all__ = ["PASSWORD_VARIABLE", "MqttAddress", "parse_address", "read_password", "tls_context"]

PASSWORD_VARIABLE = "EDGE_SSD_MQTT_PASSWORD"

_PORTS = {"mqtt": 1883, "mqtts": 8883}  # as registered with IANA
_PREFIX = "edge-ssd"


@dataclass(frozen=True)
class MqttAddress:
    """A broker, and the topic under which everything is published there.

    Attributes:
        tls: whether the connection is encrypted.
        host, port: of the broker.
        user: or None.
        prefix: of all topics, without a slash at either end.
    """

    tls: bool
    host: str
    port: int
    user: str | None
    prefix: str

    def __str__(self) -> str:
        """For messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def parse_address(url: str) -> MqttAddress:
    """Read ``mqtt[s]://[user@]host[:port][/prefix]``; raises :class:`SettingError` saying what is wrong with it."""
    form = "expected mqtt://[user@]host[:port][/prefix], or mqtts://… for TLS"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingError(f"--mqtt: {error}; {form}") from None
    if parts.password is not None:  # Named before the address is shown anywhere.
        raise SettingError(
            "--mqtt: a password in the address can be read by every user of this machine; leave it out, and give it "
            f"with --mqtt-password-file or in the environment variable {PASSWORD_VARIABLE}"
        )
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        raise SettingError(f"--mqtt {url}: {form}")
    prefix = unquote(parts.path).strip("/") or _PREFIX
    # MQTT 5.0 §4.7: wildcards and the null character have no place in the name of a topic; $ is the broker's own.
    if re.search(r"[+#\x00-\x1f\x7f]|//", prefix) or prefix.startswith("$"):
        raise SettingError(f"--mqtt {url}: {prefix!r} cannot be the beginning of a topic")
    user = unquote(parts.username) if parts.username else None
    return MqttAddress(parts.scheme == "mqtts", parts.hostname, port or _PORTS[parts.scheme], user, prefix)


def read_password(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The password from a file (without the line break at its end), else from the environment, else None."""
    if file is None:
        return environment.get(PASSWORD_VARIABLE)
    try:
        password = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingError(f"--mqtt-password-file {file}: cannot be read: {reason}; check the file") from None
    return password.removesuffix("\n").removesuffix("\r")


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS that checks the broker's certificate and name, against ``ca_file`` or what the system trusts."""
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingError(f"--mqtt-ca {ca_file}: cannot be used: {reason}; name a PEM file") from None
