"""Preprocessing: decode and resize an image to the network's input, and map boxes back to the image.

Training, calibration, evaluation and the device all use :func:`preprocess`, so that the network sees the same pixels
everywhere. The contract: RGB, uint8, upright, resized by the network's method (:mod:`edge_ssd.runtime.resize`,
bit-exact on every machine), values 0–255. Scaling is part of the network.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, NamedTuple, Union

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.errors import ImageError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.image_file import open_image
from edge_ssd.runtime.pixel_values import to_rgb
from edge_ssd.runtime.resize import ImageArray, Resize, halve_bilinear, numpy_resize, opencv_resize, resize_with
from edge_ssd.runtime.workspace import Workspace

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = [
    "ImageArray",
    "ImageLike",
    "Resize",
    "ResizeTransform",
    "as_rgb",
    "preprocess",
    "read_image",
    "resize_transform",
]

ImageLike = Union[ImageArray, "PILImage", str, "os.PathLike[str]"]

LETTERBOX_GREY = 114  # near the mean of photographs, so that the bars add no strong edge
_MAX_PIXELS = 2**28  # more than any camera has; a broadcast view may claim any size
_ZERO = np.float32(0)
_WRITES_TO_OUT = (halve_bilinear, numpy_resize, opencv_resize)

_workspace = Workspace()


class ResizeTransform(NamedTuple):
    """Mapping between the pixels of an image and the network's input.

    Attributes:
        image_size, input_size: (height, width) in pixels.
        left, top, width, height: rectangle of the input that the image fills, in pixels.
    """

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    left: int
    top: int
    width: int
    height: int

    def to_pixels(self, boxes_xyxy: npt.ArrayLike) -> FloatArray:
        """Map boxes [..., 4] in 0–1 of the input to float32 [..., 4] in pixels of the image, clipped to it."""
        factor, shift, limit = _affine(self)
        boxes = np.asarray(boxes_xyxy, np.float32) - shift
        boxes /= factor
        return boxes.clip(_ZERO, limit, out=boxes)

    def from_pixels(self, boxes_xyxy: npt.ArrayLike) -> FloatArray:
        """Map boxes [..., 4] in pixels of the image to float32 [..., 4] in 0–1 of the input, not clipped."""
        factor, shift, _ = _affine(self)
        boxes: FloatArray = np.asarray(boxes_xyxy, np.float32) * factor + shift
        return boxes


@functools.lru_cache(maxsize=16)  # the frames of a stream have one size
def _affine(transform: ResizeTransform) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return factor and shift of ``input = pixels * factor + shift``, and the limit of pixels; float32 [4] each."""
    (image_height, image_width), (input_height, input_width) = transform.image_size, transform.input_size
    factor = [transform.width / (image_width * input_width), transform.height / (image_height * input_height)] * 2
    shift = [transform.left / input_width, transform.top / input_height] * 2
    limit = [image_width, image_height] * 2
    return np.array(factor, np.float32), np.array(shift, np.float32), np.array(limit, np.float32)


def resize_transform(image_size: tuple[int, int], input_spec: InputSpec) -> ResizeTransform:
    """Return how an image of ``image_size`` (height, width) fills the input: stretched, or centered (letterbox)."""
    image_height, image_width = image_size
    if input_spec.resize == "stretch":
        return ResizeTransform(image_size, input_spec.size, 0, 0, input_spec.width, input_spec.height)
    ratio = min(input_spec.height / image_height, input_spec.width / image_width)
    height = min(max(1, round(image_height * ratio)), input_spec.height)
    width = min(max(1, round(image_width * ratio)), input_spec.width)
    left, top = (input_spec.width - width) // 2, (input_spec.height - height) // 2
    return ResizeTransform(image_size, input_spec.size, left, top, width, height)


def preprocess(
    image_rgb: ImageArray, input_spec: InputSpec, resize: Resize | None = None, out: ImageArray | None = None
) -> tuple[ImageArray, ResizeTransform]:
    """Resize an image to the network's input.

    Args:
        image_rgb: uint8 [H, W, 3], as :func:`as_rgb` returns it.
        resize: called where the size differs; another shape or dtype of its result raises ImageError. None: the
            method of ``input_spec``.
        out: uint8 [height, width, 3], contiguous, for the result, so that no array is allocated for each frame.

    Returns:
        uint8 [height, width, 3] (the argument itself if it already fits), and the mapping of image to input.
    """
    transform = resize_transform(image_rgb.shape[:2], input_spec)
    size = (transform.height, transform.width)
    fills_input = size == input_spec.size
    if image_rgb.shape[:2] == size:
        content = image_rgb
    else:
        target = out if fills_input or out is None else _workspace.array("content", (*size, 3))
        content = _resize(image_rgb, size, resize or resize_with(input_spec.resampling), target)
    if fills_input:
        return np.ascontiguousarray(content), transform
    canvas = np.empty((*input_spec.size, 3), np.uint8) if out is None else out
    canvas.fill(LETTERBOX_GREY)
    bottom, right = transform.top + transform.height, transform.left + transform.width
    canvas[transform.top : bottom, transform.left : right] = content
    return canvas, transform


def _resize(image: ImageArray, size: tuple[int, int], resize: Resize, out: ImageArray | None) -> ImageArray:
    if resize in _WRITES_TO_OUT:
        return resize(image, size, out)
    content = resize(image, size)
    kind, shape = getattr(content, "dtype", type(content).__name__), getattr(content, "shape", None)
    if kind != np.uint8 or shape != (*size, 3):
        raise ImageError(f"resize must return a uint8 array of shape {(*size, 3)}, returned {kind} of shape {shape}")
    return content


def read_image(path: str | os.PathLike[str]) -> ImageArray:
    """Read an image file as uint8 RGB [H, W, 3].

    The EXIF orientation is applied; an impossible or damaged one is ignored. Greyscale, palette, CMYK and 16-bit images
    are converted, transparency becomes white, and an animation gives its first frame. Values of 8, 10 or 12 bits in a
    file of 16 or 32 bits are scaled to 8 bits. A file that cannot be decoded raises ImageError.
    """
    name = os.fspath(path)
    try:
        with open_image(name) as image:
            return to_rgb(image)[0]
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise ImageError(f"{name}: {_describe_error(error)}") from None


def as_rgb(image: ImageLike) -> ImageArray:
    """Convert an array, a Pillow image or a path to uint8 RGB [H, W, 3].

    Arrays are used unchanged and must be uint8 RGB [H, W, 3]. OpenCV's frames are BGR: pass ``frame[..., ::-1]``.
    Anything else raises ImageError.
    """
    if isinstance(image, np.ndarray):
        return _check_array(image)
    if isinstance(image, (str, os.PathLike)):
        return read_image(image)
    if _is_pillow(image):
        try:
            return to_rgb(image)[0]
        except ImageError:
            raise
        except Exception as error:  # a lazily opened file is decoded here, see read_image
            raise ImageError(f"the Pillow image cannot be decoded ({error}); save it again as JPEG or PNG") from None
    kind = type(image).__name__
    raise ImageError(f"an image must be a uint8 RGB array [H, W, 3], a Pillow image or a path, got {kind}")


def _check_array(image: npt.NDArray[Any]) -> ImageArray:
    if image.dtype != np.uint8:
        raise ImageError(
            f"an image array must be uint8 with values 0–255, got {image.dtype}; "
            "scale to 0–255, round, and convert with .astype(np.uint8)"
        )
    if image.ndim != 3 or image.shape[2] != 3:
        raise ImageError(
            f"an image array must be RGB of shape [H, W, 3], got {list(image.shape)}; "
            "stack a grey one three times, drop a fourth channel, and pass one image at a time"
        )
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


def _describe_error(error: Exception) -> str:
    """Return why an image file could not be read, for a message that starts with its name."""
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "no such image; check the path"
    if isinstance(error, IsADirectoryError):
        return "is a folder; give one image file"
    reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return f"cannot be read as an image ({reason}); save it again as JPEG or PNG"
