"""Opening of image files: common formats, regular files and sizes within a limit only, and the EXIF orientation.

Pillow knows many other formats, such as PostScript, for which it runs a program: they are not opened. Nor are named
pipes and devices: reading one may never end.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import re
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ssd.errors import ImageError
from edge_ssd.runtime.pixel_limit import check_pixels, max_pixels, too_many_pixels

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = [
    "IMAGE_SUFFIXES",
    "MISSING_HEIF",
    "SWAPS_SIDES",
    "exif_orientation",
    "open_image",
    "require_regular_file",
    "rotate_upright",
    "upright_size",
]

# Pillow's name of a format → its suffixes.
_SUFFIXES = {
    "JPEG": ".jpg .jpeg .jpe .jfif .mpo",  # MPO: a JPEG of a phone with a second image in it
    "PNG": ".png .apng",
    "WEBP": ".webp",
    "BMP": ".bmp .dib",
    "TIFF": ".tif .tiff",
    "GIF": ".gif",
    "PPM": ".pbm .pgm .ppm .pnm .pfm",
    "AVIF": ".avif .avifs",
    "JPEG2000": ".jp2 .j2k .jpc .jpf .jpx .j2c",
    "HEIF": ".heic .heif .heics .heifs .hif",
    "TGA": ".tga .icb .vda .vst",
}
_FORMAT_OF_SUFFIX: Mapping[str, str] = {
    suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes.split()
}
# TGA files cannot be recognized by their content: only the suffix selects this format.
_FORMATS = tuple(name for name in (*_SUFFIXES, "DIB") if name != "TGA")

# Pillow has no decoder for JPEG XL: such images are reported as unreadable, not ignored.
IMAGE_SUFFIXES = frozenset({*_FORMAT_OF_SUFFIX, ".jxl"})
"""Suffixes of image files, in lower case."""

MISSING_HEIF = "HEIC images need the package pillow-heif: pip install pillow-heif"
# Decoded at a fraction of their size where no more is needed: their pixels are checked when they are decoded.
_REDUCIBLE = ("JPEG", "MPO")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_LFS_POINTER = b"version https://git-lfs"
_SNIFFED_BYTES = 64
_KINDS = ((stat.S_ISFIFO, "named pipe"), (stat.S_ISSOCK, "socket"))

_ORIENTATION = 0x0112
_IMAGE_WIDTH, _IMAGE_LENGTH = 256, 257  # tags of TIFF
# Where Pillow keeps what states an orientation; the tags of a TIFF are not in ``info``.
_EXIF_KEYS = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
SWAPS_SIDES = frozenset({5, 6, 7, 8})
"""The EXIF orientations that exchange width and height."""


def open_image(path: str | os.PathLike[str] | bytes) -> PILImage:
    """Open an image file without decoding its pixels. Use the image as a context manager, which closes the file.

    ``path`` may be the content of the file instead.

    Raises:
        ImageError: not a regular file, HEIC without pillow-heif, not an image of a known format, or one with too many
            pixels, see :mod:`edge_ssd.runtime.pixel_limit`.
        OSError, ValueError, SyntaxError and others: the file cannot be read, or its header is damaged.
    """
    from PIL import Image, UnidentifiedImageError

    if isinstance(path, bytes):
        try:
            jpeg = path.startswith(b"\xff\xd8\xff")  # For these no other decoder is imported.
            return _open(io.BytesIO(path), ("JPEG",) if jpeg else _available_formats())
        except UnidentifiedImageError:
            raise ImageError(_unknown_format(path[:_SNIFFED_BYTES])) from None
    path = Path(path)
    require_regular_file(path)
    expected = _FORMAT_OF_SUFFIX.get(path.suffix.lower())
    # The format that the suffix states is tried first: Pillow then imports no other decoder.
    if expected is not None and (expected in Image.OPEN or expected not in ("HEIF", "AVIF")):
        try:
            return _open(path, (expected,))
        except UnidentifiedImageError:
            pass
    try:
        return _open(path, _available_formats())
    except UnidentifiedImageError:
        with path.open("rb") as file:
            start = file.read(_SNIFFED_BYTES)
        raise ImageError(_unknown_format(start)) from None


def _open(source: Path | io.BytesIO, formats: tuple[str, ...]) -> PILImage:
    """Open an image as one of ``formats``; raise ImageError if it has too many pixels."""
    from PIL import Image

    if Image.MAX_IMAGE_PIXELS is not None and max_pixels() > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels()  # the user allows more than Pillow does
    try:
        image = Image.open(source, formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        stated = re.search(r"\((\d+) pixels\)", str(error))
        raise too_many_pixels("", int(stated[1]) if stated else 2 * max_pixels()) from None
    if image.format not in _REDUCIBLE:
        try:
            check_pixels(image.size)
        except ImageError:
            image.close()
            raise
    return image


def _unknown_format(start: bytes) -> str:
    """Return why an image file with the bytes ``start`` cannot be opened, and what to do."""
    from PIL import Image

    if start.startswith(_LFS_POINTER):
        return "a pointer of Git LFS in place of the image: get the images with: git lfs pull"
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS and "HEIF" not in Image.OPEN:
        return MISSING_HEIF
    if start[4:8] == b"ftyp" and start[8:11] == b"avi" and "AVIF" not in Image.OPEN:
        return "AVIF images need a newer Pillow: pip install --upgrade pillow"
    return "not an image of a known format; save it again as JPEG or PNG" if start else "the file is empty"


def exif_orientation(image: PILImage) -> int:
    """Return the EXIF orientation of an open image, 1 to 8; 1 if it has none, an impossible one or damaged EXIF.

    A PNG whose orientation follows its pixels is decoded.
    """
    if getattr(image, "tag_v2", None) is None and not any(key in image.info for key in _EXIF_KEYS):
        if getattr(image, "format", None) != "PNG" or not _has_late_exif(image):
            return 1
        image.load()
    if getattr(image, "tag_v2", None) is not None and not getattr(image, "tile", True):
        return 1  # Pillow rotates a TIFF when it decodes it; older versions leave the tag
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # Pillow raises nearly anything on damaged EXIF
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def upright_size(image: PILImage) -> tuple[int, int]:
    """Return the (height, width) of an open image after the rotation by its EXIF orientation, decoded or not."""
    width, height = image.size
    if exif_orientation(image) not in SWAPS_SIDES:
        return height, width
    # Newer versions of Pillow state the upright size of a TIFF already before they decode it; its tags do not.
    tags = getattr(image, "tag_v2", {})
    return tags.get(_IMAGE_WIDTH, width), tags.get(_IMAGE_LENGTH, height)


def rotate_upright(image: PILImage, orientation: int) -> PILImage:
    """Return the image as the EXIF ``orientation`` (1 to 8) says that it is seen; with 1, the image itself."""
    from PIL.Image import Transpose

    if orientation == 1:
        return image
    methods = (
        Transpose.FLIP_LEFT_RIGHT,
        Transpose.ROTATE_180,
        Transpose.FLIP_TOP_BOTTOM,
        Transpose.TRANSPOSE,
        Transpose.ROTATE_270,
        Transpose.TRANSVERSE,
        Transpose.ROTATE_90,
    )
    return image.transpose(methods[orientation - 2])


@functools.cache
def _available_formats() -> tuple[str, ...]:
    """Return the known formats that are installed; imports their decoders."""
    from PIL import Image

    Image.init()
    try:
        import pillow_heif
    except ImportError:
        pass
    else:
        pillow_heif.register_heif_opener()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def require_regular_file(path: Path) -> None:
    """Raise ImageError for a named pipe, socket or device, and OSError for a folder or a missing file."""
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    kind = next((kind for is_kind, kind in _KINDS if is_kind(mode)), "device")
    raise ImageError(f"is a {kind}, not a file")


def _has_late_exif(image: PILImage) -> bool:
    """Return whether a PNG file that was not decoded yet has EXIF or XMP behind its pixels."""
    name = getattr(image, "filename", "")
    if not name or getattr(image, "fp", None) is None:
        return False
    try:
        with Path(name).open("rb") as file:
            position, end = 8, os.fstat(file.fileno()).st_size
            while position + 12 <= end:
                file.seek(position)
                length, kind = struct.unpack(">I4s", file.read(8))
                if kind == b"eXIf" or (kind in (b"iTXt", b"zTXt", b"tEXt") and _names_exif(file.read(24))):
                    return True
                position += 12 + length
    except (OSError, struct.error):
        pass
    return False


def _names_exif(text: bytes) -> bool:
    return text.startswith((b"Raw profile type exif\0", b"XML:com.adobe.xmp\0"))
