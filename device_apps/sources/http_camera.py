"""Cameras over HTTP: MJPEG streams, URLs that give one image per request, HLS, and recordings.

What a URL is, is found out from the type and the first bytes of the response, not from its name. Streams of JPEG images
and single images are read here; everything else is left to FFmpeg in OpenCV, which reads fewer variants of MJPEG, one
frame late, and decodes every frame in full.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import Protocol

from device_apps.sources.deferred_image import DeferredImage, Image
from device_apps.sources.frames import FrameReader
from device_apps.sources.hls import open_hls
from device_apps.sources.http_client import HttpClient, NotHttpError
from device_apps.sources.jpeg_frame import decode_frame
from device_apps.sources.jpeg_splitter import MAX_IMAGE_BYTES, JpegSplitter
from device_apps.sources.opencv import open_stream
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.errors import SourceError
from edge_ssd.network import InputSpec

__all__ = ["open_http"]

_log = logging.getLogger(__name__)

_DEFAULT_POLL_FPS = 2.0  # More keeps the processor of a small camera busy.
_MISSED_POLLS = 3  # Without a frame before a camera that is polled counts as stalled.
_READ_BYTES = 2**20  # More than an image, so that several can be seen when the processor is behind.
_SNIFFED_BYTES = 16
_READ_MARGIN_S = 1.0  # The watchdog notices a stall first, and logs it.
_MAX_UNDECODABLE = 30  # Frames in a row that cannot be decoded before a camera counts as lost.
_JPEG, _HLS = b"\xff\xd8\xff", b"#EXTM3U"


def open_http(
    url: str, timeouts: CaptureTimeouts, fps: float | None = None, input_spec: InputSpec | None = None
) -> FrameReader:
    """Open an http:// or https:// URL.

    Args:
        fps: requests per second to a URL that gives one image per request; None for two.
        input_spec: of the network for which JPEG images are decoded at a reduced size, where it needs no more; None
            decodes them in full.

    Raises:
        SourceError: there is no response in time, or it is neither images nor video.
    """
    client = HttpClient(url, connect_seconds=timeouts.stream_open_seconds, read_seconds=timeouts.stall + _READ_MARGIN_S)
    try:
        try:
            client.get()
            head = _first_bytes(client)
        except NotHttpError:
            client.close()
            return open_stream(url, timeouts)
        text, kind = head.lstrip(), client.content_type
        if not text:
            raise SourceError(f"{client.name}: the server's response is empty; check the path of the URL")
        if text.startswith(_HLS):
            return open_hls(client, url, head, timeouts)
        polled = not kind.startswith("multipart/") and not text.startswith(b"--")
        if fps is not None and not polled:
            _warn_fps(client.name)
        if not polled or text.startswith(_JPEG) or _is_image(head, kind):
            return _HttpCameraReader(client, head, timeouts, fps, input_spec, polled=polled)
        if text[:1] in (b"<", b"{") or kind in ("text/html", "application/json"):
            raise SourceError(
                f"{client.name}: the server sends a page ({kind or 'text'}), no images; give the URL of the stream "
                "itself, which the camera's manual or the page's source names"
            )
        client.close()
        return open_stream(url, timeouts)
    except BaseException:
        client.close()
        raise


@functools.lru_cache  # Once, not at each reconnect.
def _warn_fps(name: str) -> None:
    _log.warning("%s: sends a stream, at a rate of its own; --fps has no effect", name)


def _first_bytes(client: HttpClient) -> bytes:
    head = b""
    while len(head.lstrip()) < _SNIFFED_BYTES and len(head) < _READ_BYTES:
        data = client.read(_READ_BYTES)
        if not data:
            break
        head += data
    return head


def _is_image(head: bytes, content_type: str) -> bool:
    """Return whether the content is one image of another format than JPEG."""
    known = head.startswith((b"\x89PNG", b"GIF8", b"BM")) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
    return known or (content_type.startswith("image/") and content_type != "image/jpeg")


class _Splitter(Protocol):
    def feed(self, data: bytes) -> None: ...
    def next_image(self) -> bytes | None: ...


class _WholeImage:
    """Content that is one image, which ends with the response; the counterpart of JpegSplitter."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.data = bytearray()

    def feed(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > MAX_IMAGE_BYTES:
            raise SourceError(f"{self._name}: an image of more than {MAX_IMAGE_BYTES / 2**20:g} MB; is it a camera?")

    def next_image(self) -> None:
        return None


class _HttpCameraReader:
    """An opened stream of images, or a URL that gives one image per request."""

    live = True
    time = None

    def __init__(
        self,
        client: HttpClient,
        head: bytes,
        timeouts: CaptureTimeouts,
        fps: float | None,
        input_spec: InputSpec | None,
        *,
        polled: bool,
    ) -> None:
        self._client = client
        self._input_spec = input_spec
        self._polled = polled
        self._interval = 1 / (fps or _DEFAULT_POLL_FPS)
        self.fps = 1 / self._interval if polled else None
        self.max_interval = _MISSED_POLLS * self._interval if polled else 0.0
        self._read_seconds = max(timeouts.stall, self.max_interval) + _READ_MARGIN_S
        self._repeat_seconds = max(timeouts.stall / 2, self._interval)
        self._requested_at = time.monotonic()
        self.skipped = 0
        self._images = 0  # In the current response.
        self._last: bytes | None = None  # The latest image, and when it was delivered.
        self._last_at = 0.0
        self._whole = _is_image(head, client.content_type) and not head.startswith(_JPEG)
        self._splitter = self._new_splitter()
        self._splitter.feed(head)

    def read(self) -> Image | DeferredImage | None:
        for _ in range(_MAX_UNDECODABLE):
            data = self._next_image()
            if data is None:
                return None
            image = decode_frame(data, self._input_spec)
            if image is not None:
                self._last, self._last_at = data, time.monotonic()
                return image
        raise SourceError(f"{self._client.name}: {_MAX_UNDECODABLE} images in a row cannot be decoded")

    def close(self) -> None:
        self._client.close()

    def _new_splitter(self) -> _Splitter:
        return _WholeImage(self._client.name) if self._whole else JpegSplitter(self._client.name)

    def _next_image(self) -> bytes | None:
        """Return the next image that is worth a frame, or None at the end of a stream."""
        deadline = time.monotonic() + self._read_seconds
        while True:
            image = self._splitter.next_image()
            if image is None:
                data = self._client.read(_READ_BYTES)
                if data:
                    self._splitter.feed(data)
                    if time.monotonic() > deadline:
                        raise SourceError(
                            f"{self._client.name}: no complete image within {self._read_seconds:g} s; "
                            "choose a smaller size or rate in its settings"
                        )
                    continue
                if isinstance(self._splitter, _WholeImage) and self._splitter.data:
                    image = bytes(self._splitter.data)
                    self._splitter.data.clear()
            if image is None:
                if not self._polled:
                    return None
                image = self._poll()
                deadline = time.monotonic() + self._read_seconds
            else:
                self._images += 1
                if not self._polled:
                    image = self._newest(image)
            if image is not None and not self._is_repeated(image):
                return image

    def _newest(self, image: bytes) -> bytes:
        """Return the newest image that has arrived: a slow processor must not decode older and older ones."""
        while (newer := self._splitter.next_image()) is not None:
            image = newer
            self.skipped += 1
        return image

    def _is_repeated(self, image: bytes) -> bool:
        """Return whether an image is the last one again. Now and then it counts, to show that the camera is there."""
        return self._polled and image == self._last and time.monotonic() - self._last_at < self._repeat_seconds

    def _poll(self) -> bytes | None:
        """Make the next request, in time; return the last image if the server says that it is unchanged."""
        if self._images == 0:
            raise SourceError(f"{self._client.name}: the response ends without a complete image")
        time.sleep(max(0.0, self._requested_at + self._interval - time.monotonic()))
        self._requested_at = time.monotonic()
        validators = {"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"}
        known = {name: self._client.header(header) for name, header in validators.items()}
        status = self._client.get({name: value for name, value in known.items() if value} if self._last else None)
        if status == 304:
            return self._last
        self._images = 0
        self._splitter = self._new_splitter()
        return None
