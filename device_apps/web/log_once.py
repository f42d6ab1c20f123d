"""What goes wrong again and again is said once: a preview may be broken for months beside a loop that is not."""

from __future__ import annotations

from device_apps.sources.frames import OnMessage

__all__ = ["log_once"]


def log_once(notice: OnMessage) -> OnMessage:
    """A notice that passes on the first line only."""
    said = False

    def say(line: str) -> None:
        nonlocal said
        if not said:
            said = True
            notice(line)

    return say
