"""A source that reads picture files: one, or all of a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from device_apps.sources.frames import Frame, OnMessage, SourceCounts, iterate
from edge_ssd.errors import ImageError, SourceError
from edge_ssd.runtime.preprocess import read_image

__all__ = ["PICTURE_SUFFIXES", "ImageFolderSource", "list_images"]

# With those that Pillow may lack a decoder for: a phone's pictures should be named as unreadable, not passed over.
PICTURE_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg", ".jxl", ".pbm", ".pgm", ".png"}
    | {".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"}
)


def list_images(folder: Path) -> list[Path]:
    """The picture files directly in a folder, by name; hidden files are left out.

    Raises :class:`SourceError` when there are none, naming what there is instead.
    """
    try:
        entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise SourceError(f"{folder}: cannot read this folder: {error.strerror}; check its permissions") from None
    pictures = [path for path in entries if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()]
    if pictures:
        return pictures
    folders = [f"{path.name}/" for path in entries if path.is_dir()]
    found = f"only {', '.join(folders[:3])}; give one of these folders" if folders else "give a folder of .jpg or .png"
    raise SourceError(f"{folder}: no pictures in this folder: {found}")


class ImageFolderSource:
    """Picture files in order, none dropped.

    Args:
        paths: the files.
        name: what to call the source in messages.
        unreadable: is told of each file that cannot be read, and the rest goes on; None raises instead.
    """

    live = False
    fps = None

    def __init__(self, paths: Sequence[Path], name: str, unreadable: OnMessage | None = None) -> None:
        self.name = name
        self._paths = tuple(paths)
        self._unreadable = unreadable
        self._next = 0
        self._read = 0

    @property
    def counts(self) -> SourceCounts:
        return SourceCounts(frames=self._read)

    @property
    def ended(self) -> bool:
        return self._next >= len(self._paths)

    def read(self, timeout: float) -> Frame | None:
        """The next picture, or None for one that cannot be read. ``timeout`` plays no part: files do not wait."""
        if self.ended:
            return None
        sequence, path = self._next, self._paths[self._next]
        self._next += 1
        start = time.monotonic()
        try:
            image = read_image(path)
        except ImageError as error:
            if self._unreadable is None:
                raise
            self._unreadable(str(error))
            return None
        self._read += 1
        end = time.monotonic()
        return Frame(image, sequence, end, str(path), end - start)

    def __enter__(self) -> ImageFolderSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._next = len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        return iterate(self)
