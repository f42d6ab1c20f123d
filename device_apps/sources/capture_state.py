"""States of a capture, and the transitions between them.

    OPENING       opened for the first time, no frame yet
    STREAMING     one thread, the active one, delivers frames
    RECONNECTING  the device ended; it is opened again, with pauses
    STALLED       the device or an attempt to open it hangs; it is opened again beside the threads that are stuck
    CLOSED        no more frames: closed, end of a recording, or given up

    from                   to            cause                                                       decided in
    OPENING                STREAMING     first frame                                                 _deliver
    STREAMING              RECONNECTING  the thread of a live device ended                           _wait_until_lost
    STREAMING              STALLED       no frame of a live device for ``timeouts.stall`` seconds    _wait_until_lost
    STREAMING              CLOSED        end of a recording                                          _wait_until_lost
    RECONNECTING           STALLED       an attempt gave neither a frame nor an error in time        _open_again
    RECONNECTING, STALLED  STREAMING     first frame of a thread that was started in this outage     _deliver
    any                    CLOSED        closed by the user, or an error that ends the capture       _close

The functions are those of :class:`~device_apps.sources.capture_threads.CaptureWatchdog`. STALLED never goes back to
RECONNECTING, so that an outage counts as at most one stall.
"""

from __future__ import annotations

from enum import Enum

__all__ = ["TRANSITIONS", "CaptureState"]


class CaptureState(Enum):
    """State of a capture; the docstring of :mod:`device_apps.sources.capture_state` lists the transitions."""

    OPENING = "opening"
    STREAMING = "streaming"
    RECONNECTING = "reconnecting"
    STALLED = "stalled"
    CLOSED = "closed"


TRANSITIONS = {
    CaptureState.OPENING: {CaptureState.STREAMING, CaptureState.CLOSED},
    CaptureState.STREAMING: {CaptureState.RECONNECTING, CaptureState.STALLED, CaptureState.CLOSED},
    CaptureState.RECONNECTING: {CaptureState.STREAMING, CaptureState.STALLED, CaptureState.CLOSED},
    CaptureState.STALLED: {CaptureState.STREAMING, CaptureState.CLOSED},
    CaptureState.CLOSED: set[CaptureState](),
}
"""The states that may follow each state."""
