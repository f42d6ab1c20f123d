"""Secrets, read from a file or from the environment."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from edge_ssd.errors import SettingError

__all__ = ["read_secret"]

_log = logging.getLogger(__name__)

_MAX_BYTES = 1124


def read_secret(path: Path | None, option: str, variable: str, environment: Mapping[str, str], hint: str) -> str | None:
    """Return the text of ``path`` without surrounding spaces, else that of the variable; None if neither is given.

    Logs a warning if other users can read the file.

    Args:
        option: that names the file, for messages.
        hint: how to make the file, for messages.

    Raises:
        SettingError: the file is unreadable or not text.
    """
    if path is None:
        secret = environment.get(variable)
        return None if secret is None else secret.strip()
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES).decode()
            readable_by_others = os.fstat(file.fileno()).st_mode & 0o077
    except OSError as error:
        raise SettingError(f"{option} {path}: {error.strerror}; make one with {hint}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{option} {path}: not a text file; make one with {hint}") from None
    if readable_by_others:
        what = option.removeprefix("--").removesuffix("-file").replace("-", " ")
        _log.warning("%s: other users of this machine can read the %s; chmod 600 %s", path, what, path)
    return text.strip()
