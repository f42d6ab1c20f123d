"""Lookup of image files by the names that label files give them."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path, PurePath

__all__ = ["IMAGE_SUFFIXES", "ImageIndex"]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})


class ImageIndex:
    """Lookup of the images in a folder by name. The folder is listed once; a missing folder is empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError:
            names = []
        self._names = frozenset(names)
        # Reversed, so that of several names with the same key the first one is found.
        self._by_normalized_name = {_normalize(name): name for name in reversed(names)}
        self._by_stem = {PurePath(name).stem: name for name in reversed(names) if _is_image(name)}

    def find(self, name: str) -> Path | None:
        """Return the file of exactly this name, or None. It is never outside :attr:`path`.

        A path from another machine may have backslashes and start anywhere: ``C:\\data\\images\\a.jpg`` is
        ``images/a.jpg`` if that exists, else ``a.jpg``.
        """
        if name in self._names:
            return self.path / name
        parts = _path_parts(name)
        for start, first in enumerate(parts):
            path = self.path.joinpath(*parts[start:])
            if first in self._names and path.is_file():
                return path
        return None

    def find_stem(self, stem: str) -> Path | None:
        """Return the image file with this name before its suffix, or None."""
        name = self._by_stem.get(stem)
        return None if name is None else self.path / name

    def find_similar(self, name: str) -> Path | None:
        """Return the file whose name is the last part of ``name`` up to letter case and Unicode form, or None."""
        parts = _path_parts(name)
        match = self._by_normalized_name.get(_normalize(parts[-1])) if parts else None
        return None if match is None else self.path / match

    def image_names(self) -> list[str]:
        """Return the names that have the suffix of an image, sorted."""
        return sorted(filter(_is_image, self._names))


def _is_image(name: str) -> bool:
    return PurePath(name).suffix.lower() in IMAGE_SUFFIXES


def _path_parts(name: str) -> tuple[str, ...]:
    """Return the components of a POSIX or Windows path, without drive, root, "." and ".."."""
    parts = re.split(r"[/\\]+", re.sub(r"^[A-Za-z]:", "", name))
    return tuple(part for part in parts if part not in ("", ".", ".."))


def _normalize(name: str) -> str:
    # macOS stores é as e and a combining accent, other systems as one character.
    return unicodedata.normalize("NFC", name).casefold()
