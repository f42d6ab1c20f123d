"""Folder of files that a camera keeps over restarts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from edge_ssd.errors import SettingError

__all__ = ["default_state_folder"]


def default_state_folder(feature: str, content: str, option: str, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the state directory of systemd, else the one of the user.

    Args:
        feature, content, option: what keeps files, what is in them, and the option that names another file; for the
            message.

    Raises:
        SettingError: there is neither.
    """
    state_directory = environment.get("STATE_DIRECTORY", "").split(":")[0]
    if state_directory:
        return Path(state_directory)
    user_state = environment.get("XDG_STATE_HOME")
    if user_state:
        return Path(user_state) / "edge-ssd"
    try:
        return Path.home() / ".local" / "state" / "edge-ssd"
    except RuntimeError:
        raise SettingError(
            f"{feature}: this user has no home folder to keep {content} in; name a file with {option}, or set HOME"
        ) from None
