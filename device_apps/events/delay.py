"""Delay after which an object enters or leaves: a time, a number of frames, or both."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from edge_ssd.errors import SettingError

__all__ = ["Delay", "enter_delay", "leave_delay", "number_or_text"]

_FRAMES = re.compile(r"([0-9]+) ?(f|frames?)")
_SECONDS = re.compile(r"([0-9]*\.?[0-9]+) ?(s|seconds?)")


@dataclass(frozen=True)
class Delay:
    """Delay of a change, as a time and a number of frames; :class:`~device_apps.events.tracker.Tracker` has the rules.

    Attributes:
        seconds: by the time of the frames, at least 0.
        frames: at least 1.
    """

    seconds: float
    frames: int


def enter_delay(value: float | str, option: str = "--enter-after") -> Delay:
    """Return the delay of ``--enter-after``: seconds (in at least two frames), or frames as in "3f".

    Two frames, because one detection may be false, whatever the frame rate. Raises SettingError for other values.
    """
    seconds, frames = _parse(value, option)
    return Delay(seconds, frames or 2)


def leave_delay(value: float | str, option: str = "--leave-after") -> Delay:
    """Return the delay of ``--leave-after``: seconds, or frames as in "3f".

    With seconds it is two frames where frames come more slowly than that: one frame may lack a detection that
    flickers. 0 seconds is the first frame without the object. Raises SettingError for other values.
    """
    seconds, frames = _parse(value, option)
    return Delay(seconds, frames or (2 if seconds else 1))


def number_or_text(text: str) -> float | str:
    """Return ``text`` as a number if it is one; the argparse type of the two options."""
    try:
        return float(text)
    except ValueError:
        return text


def _parse(value: float | str, option: str) -> tuple[float, int | None]:
    """Return seconds and, if the value is a number of frames, these."""
    if isinstance(value, str):
        if (match := _FRAMES.fullmatch(value)) and int(match[1]) > 0:
            return 0.0, int(match[1])
        value = float(match[1]) if (match := _SECONDS.fullmatch(value)) else value
    if not isinstance(value, str) and 0 <= value < math.inf:
        return value, None
    raise SettingError(f'{option} must be seconds from 0, or frames such as "3f", got {value}')
