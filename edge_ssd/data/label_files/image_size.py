"""Size of an image as label files state it in text."""

from __future__ import annotations

__all__ = ["parse_image_size"]


def parse_image_size(height: str | None, width: str | None) -> tuple[int, int] | None:
    """Return (height, width), or None unless both are whole numbers above 0: some tools omit them or write 0."""
    try:
        size = int(height or 0), int(width or 0)
    except ValueError:
        return None
    return size if min(size) > 0 else None
