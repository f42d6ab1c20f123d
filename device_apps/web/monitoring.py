"""Health and statistics of the camera loop, as JSON for the page and as metrics for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from device_apps.sources.background_source import OPENING
from device_apps.stats import StatsSnapshot
from device_apps.web.live.frame_encoder import FrameEncoder
from device_apps.web.prometheus import Metric

__all__ = ["Status", "loop_status", "stats_to_dict", "stats_to_metrics", "with_problem"]


class Status(NamedTuple):
    """State of the camera loop, and whether it is healthy; ``reason`` explains every state but "live"."""

    state: Literal["live", "starting", "unavailable", "reconnecting", "stalled"]
    healthy: bool
    reason: str = ""


def loop_status(encoder: FrameEncoder, connected: bool, max_silence_s: float, now: float | None = None) -> Status:
    """Return the health of the loop at ``now`` (``time.monotonic()``), from the last result and turn in ``encoder``.

    Args:
        connected: whether the source delivers frames.
        max_silence_s: seconds without a frame, or without a turn of the loop, after which the loop is not healthy.
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


def with_problem(status: Status, problem: str) -> Status:
    """Return the status of a loop to whose source that happened, if anything."""
    if status.state == "live" or not problem:
        return status
    is_unavailable = status.state == "starting" and problem != OPENING
    return status._replace(state="unavailable" if is_unavailable else status.state, reason=problem)


def stats_to_dict(snapshot: StatsSnapshot, status: Status, viewers: int) -> dict[str, Any]:
    """Return statistics, status and number of viewers as plain JSON types."""
    return {**snapshot.to_dict(), "status": status._asdict(), "viewers": viewers}


def stats_to_metrics(
    snapshot: StatsSnapshot, status: Status, viewers: int, frame_age_s: float | None, build: Mapping[str, str]
) -> list[Metric]:
    """Return Prometheus metrics; ``frame_age_s``: seconds since the last result, ``build``: labels of build info."""
    source = snapshot.source
    times: list[tuple[Mapping[str, str], float | int | None]] = [
        ({"stage": stage, "quantile": quantile}, round(milliseconds / 1e3, 6))
        for stage, (p50, p95) in snapshot.stages.items()
        for quantile, milliseconds in (("0.5", p50), ("0.95", p95))
    ]
    throttled = None if snapshot.throttled is None else int("now" in snapshot.throttled)
    values: list[tuple[str, Literal["counter", "gauge"], str, float | int | None]] = [
        ("edge_ssd_running_seconds_total", "counter", "Time since the loop started.", snapshot.seconds),
        ("edge_ssd_healthy", "gauge", "1 while frames arrive.", int(status.healthy)),
        ("edge_ssd_frames_total", "counter", "Different frames that were processed.", snapshot.frames),
        ("edge_ssd_still_frames_total", "counter", "Frames without motion: not detected in.", snapshot.still_frames),
        ("edge_ssd_detections_total", "counter", "Detections in these frames.", snapshot.detections),
        ("edge_ssd_frames_per_second", "gauge", "Different frames per second, over ten seconds.", snapshot.fps),
        ("edge_ssd_last_frame_age_seconds", "gauge", "Time since the last result.", frame_age_s),
        ("edge_ssd_source_connected", "gauge", "1 while the source delivers frames.", int(source.connected)),
        ("edge_ssd_source_frames_total", "counter", "Frames read, dropped ones included.", source.frames),
        ("edge_ssd_source_dropped_total", "counter", "Frames that a newer one replaced unused.", source.dropped),
        ("edge_ssd_source_stalls_total", "counter", "Stalls of the source.", source.stalls),
        ("edge_ssd_source_reconnects_total", "counter", "Reconnects of the source.", source.reconnects),
        ("edge_ssd_source_abandoned_total", "counter", "Abandoned capture threads.", source.abandoned),
        ("edge_ssd_viewers", "gauge", "Viewers of the live image.", viewers),
        ("edge_ssd_throttled", "gauge", "1 while the board is throttled.", throttled),
        ("edge_ssd_temperature_celsius", "gauge", "Temperature of the processor.", snapshot.temperature_c),
        ("process_resident_memory_bytes", "gauge", "Resident memory of the process.", snapshot.memory_bytes),
    ]
    return [
        Metric("edge_ssd_build_info", "gauge", "What is running; always 1.", [(build, 1)]),
        Metric("edge_ssd_stage_duration_seconds", "summary", "Time of a stage, over the last 2000 frames.", times),
        *(Metric(name, kind, text, [({}, value)]) for name, kind, text, value in values),
    ]
