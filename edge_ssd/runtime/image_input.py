"""Images as programs have them, converted to RGB: arrays, Pillow images, paths, and encoded images in memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Union, get_args

import numpy as np
import numpy.typing as npt

from edge_ssd.checks import shortened
from edge_ssd.errors import ImageError, SettingError
from edge_ssd.runtime.pixel_values import to_rgb
from edge_ssd.runtime.preprocess import read_image
from edge_ssd.runtime.resize import ImageArray

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["Color", "EncodedImage", "ImageLike", "as_rgb", "as_source"]

EncodedImage = bytes | bytearray | memoryview | BinaryIO
# An array must be uint8; OpenCV declares its frames, which are, with any numbers.
_DeclaredArray = npt.NDArray[np.integer[Any] | np.floating[Any]]
ImageLike = Union[_DeclaredArray, "PILImage", str, "os.PathLike[str]", EncodedImage]
Color = Literal["rgb", "bgr"]
"""Order of the channels of an array; OpenCV's frames are BGR."""

_COLORS = get_args(Color)
_MAX_PIXELS = 2**28  # more than any camera has; a broadcast view may claim any size


def as_source(image: ImageLike) -> ImageLike:
    """Return encoded images of every type as bytes, and any other image unchanged.

    Of a file object, all bytes are read, from its start if it can be rewound. Raises ImageError if it has no bytes.
    """
    if isinstance(image, (bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, (bytes, str, os.PathLike)) or not hasattr(image, "read"):
        return image
    file: Any = image
    try:
        if file.seekable():
            file.seek(0)
        content = file.read()
    except (OSError, ValueError, AttributeError) as error:  # ValueError: it is closed
        raise ImageError(f"the file object cannot be read ({error}); open it again") from None
    if not isinstance(content, bytes):
        raise ImageError(f"the file object reads {type(content).__name__}, not bytes; open it in binary mode: 'rb'")
    return content


def as_rgb(image: ImageLike, color: Color = "rgb") -> ImageArray:
    """Convert an array, a Pillow image, a path or an encoded image to uint8 RGB [H, W, 3].

    Args:
        image: an array must be uint8 [H, W, 3], and is used unchanged if it is RGB.
        color: order of an array's channels, "bgr" for OpenCV's frames: a view in the order RGB is returned.

    Raises:
        ImageError: not a valid image.
        SettingError: another order, or "bgr" for an image that is not an array: files state their own.
    """
    if color not in _COLORS:
        raise SettingError(f"color must be 'rgb' or 'bgr', got {shortened(color)}")
    if isinstance(image, np.ndarray):
        array = _check_array(image)
        return array if color == "rgb" else array[..., ::-1]
    if color != "rgb":
        raise SettingError(
            f"color={color!r} is for arrays; an image of type {type(image).__name__} is converted to RGB: omit it"
        )
    source: Any = as_source(image)
    if isinstance(source, (str, os.PathLike, bytes)):
        return read_image(source)
    if _is_pillow(source):
        try:
            return to_rgb(source)[0]
        except ImageError:
            raise
        except Exception as error:  # a lazily opened file is decoded here, see read_image
            raise ImageError(f"the Pillow image cannot be decoded ({error}); save it again as JPEG or PNG") from None
    raise ImageError(
        "an image must be a uint8 RGB array [H, W, 3], a Pillow image, a path, or the bytes of an image file, got "
        f"{type(image).__name__}: {shortened(image)}{_image_hint(image)}"
    )


def _image_hint(image: object) -> str:
    """Return what to do with an object that is often given as an image."""
    module = type(image).__module__.partition(".")[0]
    if module in ("torch", "tensorflow", "jax", "jaxlib"):
        return "; convert it to a uint8 array [H, W, 3]: .numpy()"
    return "; convert it with numpy.asarray(..., numpy.uint8)" if isinstance(image, (list, tuple)) else ""


def _check_array(image: npt.NDArray[Any]) -> ImageArray:
    if image.dtype != np.uint8:
        raise ImageError(
            f"an image array must be uint8 with values 0 to 255, got {image.dtype}; "
            "scale to 0 to 255, round, and convert with .astype(np.uint8)"
        )
    if image.ndim == 1 or (image.ndim == 2 and 1 in image.shape and image.size > 1):
        raise ImageError(
            f"an image array must be RGB of shape [H, W, 3], got {list(image.shape)}; if it is an encoded image, such "
            "as the JPEG of cv2.imencode, pass its bytes: .tobytes()"
        )
    if image.ndim != 3 or image.shape[2] != 3:
        hint = "stack a grey one three times, drop a fourth channel, and pass one image at a time"
        if image.ndim == 3 and image.shape[0] == 3:
            hint = "move its channels to the end: .transpose(1, 2, 0)"
        raise ImageError(f"an image array must be RGB of shape [H, W, 3], got {list(image.shape)}; {hint}")
    if 0 in image.shape:
        raise ImageError(f"an image array must not be empty, got shape {list(image.shape)}")
    if image.shape[0] * image.shape[1] > _MAX_PIXELS:
        raise ImageError(f"an image array may have at most {_MAX_PIXELS} pixels, got shape {list(image.shape)}")
    return np.asarray(image)  # the plain array of a subclass such as a masked array


def _is_pillow(image: object) -> bool:
    # Without importing Pillow: a Pillow image can exist only where Pillow is loaded already.
    import sys

    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)
