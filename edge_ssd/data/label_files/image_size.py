"""Size of an image as label files state it."""

from __future__ import annotations

__all__ = ["parse_image_size", "plausible_size"]

_MAX_SIDE = 1 << 20  # in pixels


def plausible_size(height: float, width: float) -> tuple[int, int] | None:
    """Return (height, width) as integers, or None unless they may be those of an image: some tools write 0."""
    return (int(height), int(width)) if 0 < height < _MAX_SIDE and 0 < width < _MAX_SIDE else None


def parse_image_size(height: str | None, width: str | None) -> tuple[int, int] | None:
    """Return (height, width), or None unless both are whole numbers that may be those of an image."""
    try:
        return plausible_size(int(height or 0), int(width or 0))
    except ValueError:
        return None
