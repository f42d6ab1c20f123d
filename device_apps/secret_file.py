"""Secrets, read from a file or from the environment."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from edge_ssd.errors import SettingError

__all__ = ["read_secret", "read_secret_file", "warn_of_readers"]

_log = logging.getLogger(__name__)

_MAX_BYTES = 65536  # More than a password of MQTT, the longest of these secrets, has.


def read_secret(path: Path | None, option: str, variable: str, environment: Mapping[str, str], hint: str) -> str | None:
    """Return the text of ``path`` without surrounding spaces, else that of the variable; None if neither is given.

    Arguments, warning and error as of :func:`read_secret_file`.
    """
    secret = environment.get(variable) if path is None else read_secret_file(path, option, f"make one with {hint}")
    return None if secret is None else secret.strip()


def read_secret_file(path: Path, option: str, remedy: str = "check the file") -> str:
    """Return the text of a file, without a byte order mark. Logs a warning if other users can read it.

    Args:
        option: that names the file, for messages: ``--web-token-file``.
        remedy: what to do about a file that is unreadable, for messages.

    Raises:
        SettingError: the file is unreadable, not UTF-8, or longer than 64 kB.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise SettingError(f"{option} {path}: cannot be read: {reason}; {remedy}") from None
    if len(data) > _MAX_BYTES:
        raise SettingError(f"{option} {path}: is longer than {_MAX_BYTES} bytes; {remedy}")
    warn_of_readers(path, option)
    return text


def warn_of_readers(path: Path, option: str) -> None:
    """Log a warning if other users can read the file, which exists and is named by ``option``."""
    if path.parent == Path(os.environ.get("CREDENTIALS_DIRECTORY", os.devnull)):
        return  # systemd keeps others out of the folder, and shows an access list as the mode of the group.
    status = path.stat()
    if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
        what = option.removeprefix("--").removesuffix("-file").replace("-", " ").replace("mqtt", "MQTT")
        _log.warning("%s: other users of this machine can read the %s; chmod 600 %s", path, what, path)
