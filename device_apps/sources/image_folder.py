"""Source that reads image files: one, or all of a folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from device_apps.sources.deferred_image import DeferredImage, Image
from device_apps.sources.frames import Frame, SourceCounts, iterate
from edge_ssd.errors import ImageError, SourceError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.image_file import IMAGE_SUFFIXES
from edge_ssd.runtime.preprocess import read_image, read_reduced

__all__ = ["ImageFolderSource", "list_images"]

_log = logging.getLogger(__name__)

_IMAGE_SECONDS = 1.0  # Files have no time of their own: events then depend on their number, not on reading speed.


def list_images(folder: Path) -> list[Path]:
    """Return the image files directly in a folder, by name, without hidden files. Raises SourceError if it has none."""
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise SourceError(f"{folder}: cannot read this folder: {error.strerror}; check its permissions") from None
    images = [path for path in entries if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if images:
        return images
    folders = [f"{path.name}/" for path in entries if path.is_dir()]
    remedy = f"only {', '.join(folders[:3])}; give one of these folders" if folders else "give a folder of .jpg or .png"
    raise SourceError(f"{folder}: no images in this folder: {remedy}")


class ImageFolderSource:
    """Source of image files, in order; none is dropped.

    Files that cannot be read raise :class:`~edge_ssd.errors.ImageError`; with ``skip_unreadable`` they are logged and
    counted.

    Args:
        input_spec: JPEG files are decoded at the size that this network needs, as in training and evaluation; in full
            if it is None.

    Attributes:
        unreadable: number of files that could not be read so far.
    """

    live = False
    fps = None

    def __init__(
        self, paths: Sequence[Path], name: str, *, skip_unreadable: bool = False, input_spec: InputSpec | None = None
    ) -> None:
        self.name = name
        self.unreadable = 0
        self._paths = tuple(paths)
        self._skip_unreadable = skip_unreadable
        self._next = 0
        self._frames = 0
        self._input_spec = input_spec

    @property
    def counts(self) -> SourceCounts:
        return SourceCounts(frames=self._frames)

    @property
    def ended(self) -> bool:
        return self._next >= len(self._paths)

    def read(self, timeout: float) -> Frame | None:
        """Return the next image, or None for an unreadable one. ``timeout`` is ignored: files do not wait."""
        if self.ended:
            return None
        sequence, path = self._next, self._paths[self._next]
        self._next += 1
        start = time.monotonic()
        try:
            image = self._read(path)
        except ImageError as error:
            if not self._skip_unreadable:
                raise
            self.unreadable += 1
            _log.error("%s", error)
            return None
        self._frames += 1
        end = time.monotonic()
        return Frame(image, sequence, end, str(path), end - start, sequence * _IMAGE_SECONDS)

    def _read(self, path: Path) -> Image | DeferredImage:
        if self._input_spec is None:
            return read_image(path)
        pixels, size = read_reduced(path, self._input_spec)
        return pixels if pixels.shape[:2] == size else DeferredImage(pixels, size, partial(read_image, path))

    def __enter__(self) -> ImageFolderSource:
        return self

    def __exit__(self, *error: object) -> None:
        self._next = len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        return iterate(self)
