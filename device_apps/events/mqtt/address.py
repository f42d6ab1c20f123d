"""Address of an MQTT broker, and the password and TLS settings to connect to it."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from device_apps.secret_file import read_secret_file, warn_of_readers
from edge_ssd.console.redact import redact_url
from edge_ssd.console.text import argument_text
from edge_ssd.errors import SettingError

__all__ = [
    "PASSWORD_VARIABLE",
    "MqttAddress",
    "add_topic",
    "check_topic_prefix",
    "create_tls_context",
    "parse_address",
    "read_password",
]

PASSWORD_VARIABLE = "EDGE_SSD_MQTT_PASSWORD"

_PORTS = {"mqtt": 1883, "mqtts": 8883}  # as registered with IANA
_DEFAULT_PREFIX = "edge-ssd"
_MAX_PREFIX = 1024  # bytes; with a label of any length, a topic stays below 65 535 bytes, the limit of MQTT
_MAX_PEM = 1 << 20  # bytes that are searched for a private key


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
    except ValueError:  # Its message quotes a part of the URL.
        raise SettingError(f"--mqtt {redact_url(url)}: its host or port is malformed; {expected}") from None
    if parts.password is not None:  # Checked first: the other messages show the URL.
        raise SettingError(
            "--mqtt: every user of this machine can read a password in the address; leave it out, and use "
            f"--mqtt-password-file or the environment variable {PASSWORD_VARIABLE}"
        )
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        raise SettingError(f"--mqtt {redact_url(url)}: {expected}")
    prefix = unquote(parts.path).strip("/") or _DEFAULT_PREFIX
    check_topic_prefix(prefix, f"--mqtt {redact_url(url)}")
    user = unquote(parts.username) if parts.username else None
    return MqttAddress(parts.scheme == "mqtts", parts.hostname, port or _PORTS[parts.scheme], user, prefix)


def add_topic(url: str, name: str) -> str:
    """Return the URL of a broker with another level, ``name``, at the end of its topic prefix."""
    prefix = parse_address(url).prefix
    return urlsplit(argument_text(url))._replace(path=f"/{quote(prefix)}/{quote(name)}").geturl()


def check_topic_prefix(prefix: str, option: str) -> None:
    """Raise SettingError, beginning with ``option``, unless ``prefix`` can be the beginning of a topic name."""
    # MQTT 5.0 §4.7: a topic name has no wildcards and no null character; names that start with $ are the broker's own.
    if re.search(r"[+#\x00-\x1f\x7f]|//|^[$/]|/$|^$", prefix):
        raise SettingError(f"{option}: {prefix!r} is not a valid topic prefix")
    if len(prefix.encode(errors="replace")) > _MAX_PREFIX:
        raise SettingError(f"{option}: use a topic prefix of at most {_MAX_PREFIX} bytes, this is too long")


def read_password(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the password from a file, else from ``EDGE_SSD_MQTT_PASSWORD``, or None.

    Logs a warning if other users can read the file. Raises SettingError if it is unreadable.
    """
    if file is None:
        return environment.get(PASSWORD_VARIABLE)
    return read_secret_file(file, "--mqtt-password-file").removesuffix("\n").removesuffix("\r")


def create_tls_context(
    ca_file: Path | None, cert_file: Path | None = None, key_file: Path | None = None
) -> ssl.SSLContext:
    """Return a TLS context that checks the broker's certificate and host name.

    Args:
        ca_file: certificates to trust (PEM); None for the system's.
        cert_file, key_file: client certificate and its private key (PEM); without ``key_file`` both are in one file.

    Raises:
        SettingError: a file is not usable.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingError(f"--mqtt-ca {ca_file}: cannot be used: {reason}; name a PEM file") from None
    if cert_file is not None:
        _load_client_certificate(context, cert_file, key_file)
    return context


def _load_client_certificate(context: ssl.SSLContext, cert_file: Path, key_file: Path | None) -> None:
    option = f"--mqtt-cert {cert_file}"
    for name, path in (("--mqtt-cert", cert_file), ("--mqtt-key", key_file)):
        try:
            if path is not None:
                with path.open("rb") as file:
                    has_key = b"PRIVATE KEY" in file.read(_MAX_PEM)
                if has_key:
                    warn_of_readers(path, name)
        except OSError as error:
            raise SettingError(f"{name} {path}: cannot be read: {error.strerror}; check the file") from None
    encrypted = False

    def no_password() -> str:  # Otherwise OpenSSL would ask on the terminal.
        nonlocal encrypted
        encrypted = True
        return ""

    try:
        context.load_cert_chain(cert_file, key_file, no_password)
    except (OSError, ValueError) as error:
        if encrypted:
            raise SettingError(f"{option}: its key has a password; remove it: openssl pkey -in KEY -out KEY") from None
        mismatch = "MISMATCH" in str(getattr(error, "reason", ""))
        reason = "the key is another one's" if mismatch else "it is not a PEM file with a certificate and its key"
        raise SettingError(f"{option}: cannot be used: {reason}; check --mqtt-cert and --mqtt-key") from None
