"""Live HLS streams, read with OpenCV at the speed of their playlist.

FFmpeg delivers each segment of several seconds as fast as it can be decoded, then nothing until the camera has written
the next. Frames are therefore delivered at the times that they state. FFmpeg begins three segments before the newest,
so that the next segment is there when it is due (RFC 8216 §6.3.3).

FFmpeg may hang in it or end the process: on Linux it is read in a child process.
"""

from __future__ import annotations

import os
import re
import time
from functools import partial
from urllib.parse import urljoin

from device_apps.sources.capture_process import ProcessReader
from device_apps.sources.deferred_image import DeferredImage, Image
from device_apps.sources.frames import FrameReader
from device_apps.sources.http_client import HttpClient
from device_apps.sources.media_clock import MediaClock
from device_apps.sources.opencv import OpenCVReader, open_stream
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.errors import SourceError

__all__ = ["PacedReader", "open_hls"]

_TARGET_DURATION = re.compile(rb"^#EXT-X-TARGETDURATION:\s*(\d+)", re.MULTILINE)
_MASTER = re.compile(rb"^#EXT-X-STREAM-INF:[^\n]*\n+([^#\s][^\r\n]*)", re.MULTILINE)
_COMPLETE = re.compile(rb"^#EXT-X-ENDLIST", re.MULTILINE)
_READ_MARGIN_S = 1.5  # The watchdog notices a stall first, then FFmpeg.
_DEFAULT_TARGET_S, _MAX_TARGET_S = 10.0, 60.0
_STALLED_TARGETS = 3  # A camera that writes no segment for so many of its durations is lost.
_MAX_PLAYLIST_BYTES = 2**20
_LATE_S = 1.0


def open_hls(client: HttpClient, url: str, playlist: bytes, timeouts: CaptureTimeouts) -> FrameReader:
    """Open an HLS stream. A playlist that is complete is a recording, of which every frame is read.

    Args:
        client: has requested ``url``; ``playlist`` is what it read so far. It is closed.
    """
    playlist += _rest(client, len(playlist))
    kind = client.content_type
    variant = _MASTER.search(playlist)
    if variant is not None and not _TARGET_DURATION.search(playlist):
        client.url = urljoin(client.url, variant[1].decode("utf-8", "replace").strip())
        client.get()
        playlist = _rest(client, 0)
    client.close()
    found = _TARGET_DURATION.search(playlist)
    target = min(max(float(found[1]), 1.0), _MAX_TARGET_S) if found else _DEFAULT_TARGET_S
    patience = max(timeouts.stall, _STALLED_TARGETS * target)
    open_reader = partial(_open_paced, url, target, patience, timeouts.stream_open)
    try:
        if _COMPLETE.search(playlist) or not hasattr(os, "memfd_create"):
            return open_reader()
        return ProcessReader(
            open_reader,
            client.name,
            open_seconds=max(timeouts.first_frame, patience),
            read_seconds=patience + _READ_MARGIN_S,
            max_interval=patience,
        )
    except SourceError:
        raise SourceError(
            f"{client.name}: an HLS playlist that FFmpeg does not take (its type is {kind or 'not stated'}); serve it "
            "as application/vnd.apple.mpegurl or with a name that ends in .m3u8, and its segments as .ts or .mp4"
        ) from None


def _open_paced(url: str, target: float, patience: float, stream_open: float) -> FrameReader:
    reader = open_stream(url, CaptureTimeouts(stall=patience, stream_open=stream_open))
    return PacedReader(reader, target, patience) if reader.live else reader


def _rest(client: HttpClient, size: int) -> bytes:
    data = b""
    while size + len(data) < _MAX_PLAYLIST_BYTES and (more := client.read(65536)):
        data += more
    return data


class PacedReader:
    """Reader of a live stream that comes in bursts, which delivers each frame at its time.

    Args:
        reader: states the time of its frames.
        target: duration of a segment in seconds; a jump of the time by more is no pause.
        max_interval: see :class:`~device_apps.sources.frames.FrameReader`.
    """

    live = True
    time = None

    def __init__(self, reader: OpenCVReader, target: float, max_interval: float) -> None:
        self.fps = reader.fps
        self.max_interval = max_interval
        self._reader = reader
        self._target = target
        self._clock = MediaClock(reader.fps)
        self._start: float | None = None  # Time of this machine at the time 0 of the stream.

    def read(self) -> Image | DeferredImage | None:
        image = self._reader.read()
        if image is None:
            return None
        before = self._clock.seconds
        self._clock.advance(self._reader.position)
        now = time.monotonic()
        due = now if self._start is None else self._start + self._clock.seconds
        if self._start is None or now - due > _LATE_S or self._clock.seconds - before > self._target:
            self._start, due = now - self._clock.seconds, now
        time.sleep(max(0.0, due - now))
        return image

    def close(self) -> None:
        self._reader.close()
