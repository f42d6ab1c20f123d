"""Animated images (GIF, WebP, APNG, AVIF), read with Pillow as recordings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from device_apps.sources.frames import Image
from edge_ssd.errors import EdgeSSDError, SourceError
from edge_ssd.runtime.image_file import open_image
from edge_ssd.runtime.pixel_values import to_rgb

__all__ = ["AnimationReader", "is_animation"]

_FORMATS = ("GIF", "WEBP", "PNG", "AVIF")  # Not the pages of a TIFF, nor the two images of a stereo photo (MPO).
_SUFFIXES = frozenset({".gif", ".webp", ".png", ".apng", ".avif", ".avifs"})
_DEFAULT_MS = 100.0  # As browsers show frames that state no duration.


def is_animation(path: Path) -> bool:
    """Return whether an image file has several frames to be shown one after another."""
    if path.suffix.lower() not in _SUFFIXES:
        return False
    try:
        with open_image(path) as image:
            return image.format in _FORMATS and bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow raises nearly anything on damaged files, which are reported when they are read.
        return False


class AnimationReader:
    """Opened animation; see :class:`~device_apps.sources.frames.FrameReader`."""

    live = False

    def __init__(self, path: Path) -> None:
        self.fps: float | None = None
        self.time: float | None = 0.0
        self._path = path
        self._next_ms = 0.0
        self._frames = self._iterate()
        self._first = next(self._frames, None)  # Its duration is that of most animations' frames.
        if self._first is not None and self._next_ms > 0:
            self.fps = 1000 / self._next_ms

    def read(self) -> Image | None:
        image, start_ms = self._first or next(self._frames, None) or (None, 0.0)
        self._first = None
        if image is not None:
            self.time = start_ms / 1000
        return image

    def close(self) -> None:
        self._frames.close()  # type: ignore[attr-defined]

    def _iterate(self) -> Iterator[tuple[Image, float]]:
        """Yield each frame and its time in milliseconds."""
        number = 0
        try:
            with open_image(self._path) as image:
                for number in itertools.count():
                    try:
                        image.seek(number)
                    except EOFError:
                        return
                    image.load()
                    start_ms = self._next_ms
                    self._next_ms += float(image.info.get("duration") or _DEFAULT_MS)
                    yield to_rgb(image)[0], start_ms
        except (EdgeSSDError, GeneratorExit):
            raise
        except Exception as error:
            raise SourceError(
                f"{self._path}: its frame {number + 1} is damaged ({error}); frames used: {number}; copy the file again"
            ) from None
