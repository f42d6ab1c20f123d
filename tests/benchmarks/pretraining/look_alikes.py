"""Search for images that look like others, also mirrored, by the comparison of ``edge-ssd data inspect``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.Image import Resampling

from edge_ssd.data.check_images import THUMBNAIL_SIZE, ImageChecks
from edge_ssd.data.inspection.duplicates import perceptual_hashes, without_gradient

__all__ = ["SAME", "SIMILAR", "LookAlikes", "Similarity", "thumbnail_of", "thumbnails_of_folder"]

Thumbnail = npt.NDArray[np.uint8]  # [16, 17]

_IMAGES = {".bmp", ".jpeg", ".jpg", ".png", ".webp"}


class Similarity(NamedTuple):
    """Two images look alike if at most ``bits`` of their hashes differ and their thumbnails correlate so much."""

    bits: int
    correlation: float


SAME = Similarity(28, 0.95)  # within the pool, as edge_ssd.data.inspection.duplicates
SIMILAR = Similarity(36, 0.93)  # to held-out images, where an image too many is refused rather than one too few


class LookAlikes:
    """Thumbnails with names, compared with others."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._bits = np.zeros((1024, 256), np.float32)  # +1, -1
        self._shapes = np.zeros((1024, THUMBNAIL_SIZE[0] * THUMBNAIL_SIZE[1]), np.float32)

    def add(self, name: str, thumbnail: Thumbnail) -> None:
        count = len(self._names)
        if count == len(self._bits):
            self._bits, self._shapes = (
                np.concatenate([rows, np.zeros_like(rows)]) for rows in (self._bits, self._shapes)
            )
        self._bits[count], self._shapes[count] = _features(thumbnail)
        self._names.append(name)

    def find(self, thumbnail: Thumbnail, similarity: Similarity) -> str | None:
        """Return the name of the first image that looks like this one or like its mirror image."""
        return self._find(thumbnail, similarity) or self._find(thumbnail[:, ::-1], similarity)

    def _find(self, thumbnail: Thumbnail, similarity: Similarity) -> str | None:
        count = len(self._names)
        bits, shape = _features(thumbnail)
        different = (256 - self._bits[:count] @ bits) / 2
        near = np.flatnonzero(different <= similarity.bits)
        near = near[self._shapes[near] @ shape >= similarity.correlation]
        return self._names[near[0]] if len(near) else None


def thumbnail_of(image: Image.Image) -> Thumbnail:
    """Return the means of the areas of an image in grayscale, uint8 [16, 17]."""
    height, width = THUMBNAIL_SIZE
    return np.asarray(image.convert("L").resize((width, height), Resampling.BOX))


def thumbnails_of_folder(folder: Path) -> Iterable[tuple[str, Thumbnail]]:
    """Return path and thumbnail of all readable images in a folder and those in it."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _IMAGES)
    checks = ImageChecks().check(paths)
    return [
        (str(path), np.frombuffer(check.thumbnail, np.uint8).reshape(THUMBNAIL_SIZE))
        for path, check in zip(paths, checks, strict=True)
        if check.thumbnail
    ]


def _features(thumbnail: Thumbnail) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the hash as ±1, float32 [256], and the thumbnail without its gradient as a unit vector, [272]."""
    one = thumbnail[None]
    return perceptual_hashes(one)[0].astype(np.float32) * 2 - 1, without_gradient(one)[0]
