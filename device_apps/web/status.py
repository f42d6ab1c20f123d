"""How the camera is doing, in a word and a sentence."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple

from device_apps.web.frame_encoder import FrameEncoder

__all__ = ["SILENT_S", "Status", "status_of"]

SILENT_S = 10.0  # So long without a frame, or without a turn of the loop, is no longer healthy.


class Status(NamedTuple):
    """``healthy`` means that frames come; ``reason`` says why not, and is empty otherwise."""

    state: Literal["live", "starting", "reconnecting", "stalled"]
    healthy: bool
    reason: str = ""


def status_of(pictures: FrameEncoder, connected: bool, now: float | None = None) -> Status:
    """From when the loop last gave a result, and took a turn; and whether its source is ``connected``."""
    now = time.monotonic() if now is None else now
    turn_at, result_at = pictures.last_turn_at, pictures.last_result_at
    if turn_at is None:
        return Status("starting", False, "no frame yet")
    if now - turn_at > SILENT_S:
        return Status("stalled", False, f"the loop has stood still for {now - turn_at:.0f} s")
    if result_at is None:
        return Status("starting", False, "no frame yet")
    silent = now - result_at > SILENT_S
    reason = f"no frame for {now - result_at:.0f} s"
    if not connected:
        return Status("reconnecting", not silent, f"the source is lost and is being opened again; {reason}")
    return Status("stalled", False, reason) if silent else Status("live", True)
