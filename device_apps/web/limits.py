"""Limits and timeouts of the web preview."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WebLimits"]


@dataclass(frozen=True)
class WebLimits:
    """Limits and timeouts of the preview; names that end in ``_s`` are in seconds.

    Attributes:
        max_viewers: of the page and of the MJPEG stream together, and as many of the event stream.
        max_connections: open TCP connections. Beyond them the oldest one that has not logged in is closed for each
            new one; a new one is refused if all have.
        max_client_connections: the same for the connections of one address that have not logged in.
        slow_down_s: after which a wrong token is answered, when there were too many.
        max_body_bytes: of a request.
        request_timeout_s: from the first byte of a request head to its last.
        body_timeout_s: to receive a request body.
        snapshot_timeout_s: to wait for a frame before ``/snapshot.jpg`` answers 503.
        stats_period_s: between two messages with statistics.
        max_silence_s: without a frame, or a turn of the loop, before the loop counts as not healthy.
    """

    max_viewers: int = 32
    max_connections: int = 200
    max_client_connections: int = 64
    slow_down_s: float = 1.0
    max_body_bytes: int = 64 * 1024
    request_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    snapshot_timeout_s: float = 5.0
    stats_period_s: float = 1.0
    max_silence_s: float = 10.0
