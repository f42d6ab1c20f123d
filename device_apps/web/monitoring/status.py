"""Health of the camera loop: a state and the reason if it is not healthy."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple

from device_apps.web.live.frame_encoder import FrameEncoder

__all__ = ["Status", "loop_status"]


class Status(NamedTuple):
    """Health of the loop; ``healthy`` while frames arrive, else ``reason`` explains why not."""

    state: Literal["live", "starting", "reconnecting", "stalled"]
    healthy: bool
    reason: str = ""


def loop_status(encoder: FrameEncoder, connected: bool, max_silence_s: float, now: float | None = None) -> Status:
    """Return the health of the loop, from the times of its last result and turn.

    Args:
        encoder: the sink that notes these times.
        connected: whether the source delivers frames.
        max_silence_s: seconds without a frame or a turn after which the loop is not healthy.
        now: ``time.monotonic()`` by default.
    """
    now = time.monotonic() if now is None else now
    turn_at, result_at = encoder.last_turn_at, encoder.last_result_at
    if turn_at is None:
        return Status("starting", False, "no frame yet")
    if now - turn_at > max_silence_s:
        return Status("stalled", False, f"the loop has stood still for {now - turn_at:.0f} s")
    if result_at is None:
        return Status("starting", False, "no frame yet")
    silent = now - result_at > max_silence_s
    reason = f"no frame for {now - result_at:.0f} s"
    if not connected:
        return Status("reconnecting", not silent, f"the source is lost and is being opened again; {reason}")
    return Status("stalled", False, reason) if silent else Status("live", True)
