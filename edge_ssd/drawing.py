"""What the pictures of this package share: colours, and Pillow's own font at a size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageFont

__all__ = ["COLOURS", "font", "printable"]

# Told apart on photographs, and by people who see red and green alike where there are few classes.
COLOURS = ((255, 59, 48), (0, 199, 255), (255, 204, 0), (76, 217, 100), (255, 45, 220), (255, 149, 0), (120, 110, 255))


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font of about this many pixels; before Pillow 10.1 there is one size only."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size)
    except TypeError:
        return ImageFont.load_default()


def printable(text: str) -> str:
    """The text as :func:`font` can draw it: before Pillow 10.1, letters outside Latin-1 become question marks."""
    from PIL import ImageFont

    if isinstance(font(12), ImageFont.FreeTypeFont):
        return text
    return text.encode("latin-1", "replace").decode("latin-1")
