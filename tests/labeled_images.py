"""Images with labels, to be written as small datasets of tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

__all__ = ["Box", "LabeledImage", "by_split", "orientation_exif", "write_image", "write_text"]

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class LabeledImage:
    """An image to write: ``size`` is (width, height), ``objects`` are (label, xyxy in pixels)."""

    name: str
    split: str = "train"
    size: tuple[int, int] = (60, 40)
    objects: Sequence[tuple[str, Box]] = ()


def orientation_exif(value: int) -> bytes:
    """Return EXIF with an orientation as a 32-bit number, which may be impossible."""
    return b"Exif\0\0" + struct.pack("<2sHIHHHIII", b"II", 42, 8, 1, 0x0112, 4, 1, value, 0)


def write_image(path: Path, size: tuple[int, int] = (60, 40), orientation: int | None = None) -> None:
    """Write a uniform image of (width, height) pixels before rotation by the EXIF orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = b"" if orientation is None else orientation_exif(orientation)
    Image.new("RGB", size, (200, 180, 40)).save(path, exif=exif)


def by_split(images: Sequence[LabeledImage]) -> dict[str, list[LabeledImage]]:
    """Return split → its images."""
    splits: dict[str, list[LabeledImage]] = {}
    for image in images:
        splits.setdefault(image.split, []).append(image)
    return splits


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
