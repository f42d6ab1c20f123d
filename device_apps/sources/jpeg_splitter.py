"""Division of a stream of bytes into the JPEG images that it contains.

Cameras frame their images in many ways: parts with any or no headers, boundaries with and without line breaks, lengths
that are missing or wrong, or no framing at all. Each JPEG image states by itself where it ends, so nothing else is
used: text between two images is skipped.

Source: ITU-T T.81 (JPEG) annex B: an image starts with SOI, then segments with a length follow up to the first scan
(SOS). In a scan, 0xFF is never followed by the codes of other markers than RST, so the next EOI ends the image.
"""

from __future__ import annotations

from edge_ssd.errors import SourceError

__all__ = ["MAX_IMAGE_BYTES", "JpegSplitter"]

MAX_IMAGE_BYTES = 32 * 2**20
"""Maximum size of an image of a stream; several times that of an 8K frame in high quality."""

_SOI, _EOI = b"\xff\xd8\xff", b"\xff\xd9"
_SOS = 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM, RST


class JpegSplitter:
    """Buffer of a stream that returns each JPEG image as soon as its last byte was fed.

    Args:
        name: of the stream, for messages.
        max_bytes: maximum size of an image, and of what is between two.
    """

    def __init__(self, name: str, max_bytes: int = MAX_IMAGE_BYTES) -> None:
        self._name = name
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._start = -1  # Of the current image; -1 between two images.
        self._at = 0  # Everything before this is examined.
        self._scanning = False  # The position is in a scan.
        self._skipped = 0  # Bytes since the last image.

    def feed(self, data: bytes) -> None:
        """Add bytes of the stream."""
        self._data += data

    def next_image(self) -> bytes | None:
        """Return the next complete image, or None until more bytes are fed.

        Raises SourceError when an image or what is between two exceeds ``max_bytes``.
        """
        while True:
            if self._start < 0 and not self._find_start():
                break
            if not self._scanning and not self._find_scan():
                if self._start >= 0:
                    break
                continue
            end = self._find_end()
            if end is None:
                if self._scanning:
                    break
                continue
            image = bytes(memoryview(self._data)[self._start : end])
            self._restart(end)
            self._skipped = 0
            return image
        if self._skipped + len(self._data) > self._max_bytes:
            raise SourceError(
                f"{self._name}: {self._max_bytes / 2**20:g} MB without a complete JPEG image; is it a stream of images?"
            )
        return None

    def _find_start(self) -> bool:
        start = self._data.find(_SOI, self._at)
        if start < 0:
            keep = min(2, len(self._data))
            self._skipped += len(self._data) - keep
            del self._data[: len(self._data) - keep]
            self._at = 0
            return False
        self._skipped += start
        del self._data[:start]
        self._start, self._at, self._scanning = 0, 2, False
        return True

    def _find_scan(self) -> bool:
        """Advance over the segments to the first scan; False if bytes are missing, or after a restart at damage."""
        data = self._data
        while self._at + 4 <= len(data):
            marker = data[self._at + 1]
            if data[self._at] != 0xFF or marker in (0x00, 0xD8, 0xD9):
                self._restart(self._at)
                return False
            if marker == 0xFF or marker in _WITHOUT_LENGTH:
                self._at += 1 if marker == 0xFF else 2  # Fill bytes may precede a marker.
                continue
            length = int.from_bytes(data[self._at + 2 : self._at + 4], "big")
            if length < 2:
                self._restart(self._at)
                return False
            self._at += 2 + length
            if marker == _SOS:
                self._scanning = True
                return True
        return False

    def _find_end(self) -> int | None:
        """Return the end of the image; None if it is not complete, or after a restart at the next image."""
        data = self._data
        end = data.find(_EOI, self._at)
        # A start of another image: this one is truncated.
        start = data.find(_SOI, self._at, len(data) if end < 0 else end)
        if start >= 0:
            self._restart(start)
            return None
        if end >= 0:
            return end + 2
        self._at = max(self._at, len(data) - 2)
        return None

    def _restart(self, at: int) -> None:
        """Look for the next image from ``at``."""
        del self._data[:at]
        self._start, self._at, self._scanning = -1, 0, False
