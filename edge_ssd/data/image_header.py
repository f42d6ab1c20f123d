"""Size, file format and EXIF orientation of an image file, read without decoding pixels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ImageHeader", "read_image_header"]

_EXIF_ORIENTATION = 0x0112
_PNG_EXIF = frozenset({"exif", "Raw profile type exif", "XML:com.adobe.xmp"})
_ROTATED_BY_90 = frozenset({5, 6, 7, 8})


@dataclass(frozen=True)
class ImageHeader:
    """Header of an image file.

    Attributes:
        size: (height, width) in pixels, after rotation by the EXIF orientation.
        format: Pillow's name of the file format, such as "JPEG".
        orientation: EXIF orientation, 1 to 8; 1 if the file has none.
    """

    size: tuple[int, int]
    format: str
    orientation: int


def read_image_header(path: Path) -> ImageHeader:
    """Read the header of an image file.

    Raises:
        OSError: the file cannot be read or is not an image.
        ValueError: the header is damaged, or the image exceeds Pillow's limit of pixels.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as image:
                width, height = image.size
                # getexif() decodes every pixel of a PNG that has no EXIF before its image data: skip these.
                has_exif = image.format != "PNG" or not _PNG_EXIF.isdisjoint(image.info)
                orientation = image.getexif().get(_EXIF_ORIENTATION) if has_exif else None
                name = image.format or ""
        # Some of Pillow's readers raise SyntaxError for a damaged header.
        except (Image.DecompressionBombError, Image.DecompressionBombWarning, SyntaxError) as error:
            raise ValueError(str(error)) from None
    size = (width, height) if orientation in _ROTATED_BY_90 else (height, width)
    return ImageHeader(size, name, orientation if isinstance(orientation, int) else 1)
