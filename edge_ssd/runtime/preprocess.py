"""Preprocessing: decode and resize an image to the network's input, and map boxes back to the image.

Training, calibration, evaluation and the device all use :func:`preprocess`, so that the network sees the same pixels
everywhere. The contract: RGB, uint8, upright, resized by the network's method (:mod:`edge_ssd.runtime.resize`,
bit-exact on every machine), values 0–255. Scaling is part of the network.
"""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.console.text import shown_name
from edge_ssd.errors import ImageError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.image_file import open_image, upright_size
from edge_ssd.runtime.pixel_limit import check_pixels
from edge_ssd.runtime.pixel_values import to_rgb
from edge_ssd.runtime.resize import HALVE_BILINEAR, ImageArray, Resize, resize_with
from edge_ssd.runtime.resize_plan import plan
from edge_ssd.runtime.workspace import Workspace

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = [
    "ImageArray",
    "ReducedImage",
    "Resize",
    "ResizeTransform",
    "preprocess",
    "read_image",
    "read_input",
    "read_reduced",
    "resize_transform",
    "to_reduced",
    "whole_halvings",
]

LETTERBOX_GREY = 114  # near the mean of photographs, so that the bars add no strong edge
_MAX_JPEG_HALVINGS = 3  # libjpeg decodes at 1/2, 1/4 and 1/8
_ZERO = np.float32(0)

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
    image_rgb: ImageArray,
    input_spec: InputSpec,
    resize: Resize | None = None,
    out: ImageArray | None = None,
    image_size: tuple[int, int] | None = None,
) -> tuple[ImageArray, ResizeTransform]:
    """Resize an image to the network's input.

    Args:
        image_rgb: uint8 [H, W, 3], as :func:`~edge_ssd.runtime.image_input.as_rgb` returns it.
        resize: called where the size differs; another shape or dtype of its result raises ImageError. None: the
            method of ``input_spec``.
        out: uint8 [height, width, 3], contiguous, for the result, so that no array is allocated for each frame.
        image_size: (height, width) of the image that ``image_rgb`` was reduced from. None: it was not reduced.

    Returns:
        uint8 [height, width, 3] (the argument itself if it already fits), and the mapping of image to input.
    """
    transform = resize_transform(image_size or image_rgb.shape[:2], input_spec)
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
    if resize in HALVE_BILINEAR:
        return resize(image, size, out)
    content = resize(image, size)
    kind, shape = getattr(content, "dtype", type(content).__name__), getattr(content, "shape", None)
    if kind != np.uint8 or shape != (*size, 3):
        raise ImageError(f"resize must return a uint8 array of shape {(*size, 3)}, returned {kind} of shape {shape}")
    return content


class ReducedImage(NamedTuple):
    """``pixels``, uint8 RGB [H, W, 3], of an image that has ``size`` (height, width) in full."""

    pixels: ImageArray
    size: tuple[int, int]


def read_reduced(source: str | os.PathLike[str] | bytes, input_spec: InputSpec) -> ReducedImage:
    """Read an image for a network: a JPEG at 1/2, 1/4 or 1/8 of its size where it would be halved as often.

    The decoder then computes the means, from the same coefficients and several times faster; its pixels differ from
    those of :mod:`edge_ssd.runtime.resize_plan` by the rounding and by the interpolation of colors. ``source`` is a
    path, or the content of an image file. Otherwise as :func:`read_image`.
    """
    name = _name(source)
    try:
        with open_image(source) as image:
            return to_reduced(image, input_spec)[0]
    except Exception as error:  # as in read_image()
        raise ImageError(f"{name}: {_describe_error(error, source)}") from None


def to_reduced(image: PILImage, input_spec: InputSpec) -> tuple[ReducedImage, str]:
    """Return an image that is not decoded yet as :func:`read_reduced` does, and the text of ``to_rgb``."""
    width, height = image.size
    upright = upright_size(image)
    if image.format in ("JPEG", "MPO"):
        halvings = min(whole_halvings(upright, input_spec), _MAX_JPEG_HALVINGS)
        whole = (width >> halvings, height >> halvings)
        drafted = halvings > 0 and image.draft(None, whole) is not None
        check_pixels(image.size)
        if drafted and image.size != whole:
            image = image.crop((0, 0, *whole))  # the last row and column stand for a part of the pixels only
    pixels, scaling = to_rgb(image)
    return ReducedImage(pixels, upright), scaling


def whole_halvings(image_size: tuple[int, int], input_spec: InputSpec) -> int:
    """Return how often an image of ``image_size`` (height, width) is halved in both directions for a network.

    A camera or decoder that can scale may do that. 0 for networks that were trained with another method.
    """
    if input_spec.resampling != "halve-bilinear":
        return 0
    transform = resize_transform(image_size, input_spec)
    return plan(image_size, (transform.height, transform.width)).both


def read_input(path: str | os.PathLike[str], input_spec: InputSpec) -> tuple[ImageArray, ResizeTransform]:
    """Read an image file and resize it to the network's input, as :meth:`Detector.detect` does; see `preprocess`."""
    pixels, size = read_reduced(path, input_spec)
    return preprocess(pixels, input_spec, image_size=size)


def read_image(path: str | os.PathLike[str] | bytes) -> ImageArray:
    """Read an image file, or the content of one, as uint8 RGB [H, W, 3].

    The EXIF orientation is applied; an impossible or damaged one is ignored. Greyscale, palette, CMYK and 16-bit images
    are converted, transparency becomes white, and an animation gives its first frame. Values of 8, 10 or 12 bits in a
    file of 16 or 32 bits are scaled to 8 bits. A file that cannot be decoded raises ImageError.
    """
    name = _name(path)
    try:
        with open_image(path) as image:
            return to_rgb(image)[0]
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise ImageError(f"{name}: {_describe_error(error, path)}") from None


def _name(source: str | os.PathLike[str] | bytes) -> str:
    """Return what stands before the message of an error."""
    if isinstance(source, bytes):
        return "image data"
    return shown_name(source)


def _describe_error(error: Exception, source: str | os.PathLike[str] | bytes) -> str:
    """Return why an image file could not be read, for a message that starts with its name."""
    if source == "":
        return "the name is empty; give one image file"
    if isinstance(error, ImageError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        if re.match("[a-z]+://", os.fsdecode(source), re.IGNORECASE):
            return "is an address, not a file; download it and pass its bytes"
        return "no such image; check the path"
    if isinstance(error, IsADirectoryError):
        return "is a folder; give one image file"
    reason = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return f"cannot be read as an image ({reason}); save it again as JPEG or PNG"
