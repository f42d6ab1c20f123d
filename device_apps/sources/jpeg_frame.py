"""Frames of cameras that send JPEG images."""

from __future__ import annotations

from functools import partial

from device_apps.sources.deferred_image import DeferredImage, Image
from edge_ssd.errors import ImageError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import read_image, read_reduced

__all__ = ["decode_frame"]


def decode_frame(data: bytes, input_spec: InputSpec | None) -> Image | DeferredImage | None:
    """Return an image file as a frame, of which only the pixels for the network are decoded yet; None if it is damaged.

    Without ``input_spec`` it is decoded in full.
    """
    load = partial(read_image, data)
    try:
        if input_spec is None:
            return load()
        pixels, size = read_reduced(data, input_spec)
    except ImageError:
        return None
    return pixels if pixels.shape[:2] == size else DeferredImage(pixels, size, load, partial(_read_at_least, data))


def _read_at_least(data: bytes, max_side: int) -> Image:
    """Decode an image file at a reduced size whose longer side is at least ``max_side`` pixels."""
    square = InputSpec(max_side, max_side, resize="letterbox", resampling="halve-bilinear")
    return read_reduced(data, square).pixels
