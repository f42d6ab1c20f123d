"""Reasons why images are unsuitable to calibrate or to measure on, found in their pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_ssd.console.counts import count, count_of

__all__ = ["calibration_warnings", "image_warnings"]

Images = npt.NDArray[np.uint8]

_MIN_IMAGES = 32
# Standard deviation of a channel (0–255) below which an image counts as uniform.
_UNIFORM_STD = 4.0
# Mean difference of two channels (0–255) below which an image counts as gray; compression adds some color.
_GRAY_DIFFERENCE = 2.0
# Difference of medians, in units of the validation images' spread, that gives a warning.
_MAX_DEVIATION = 1.5
# Minimum spread (0–255). Images of one scene in one light have hardly any, and small differences do not matter.
_MIN_SPREAD = 12.0
_FEATURES = ("brightness", "redness", "blueness", "contrast")


def calibration_warnings(images: Images, validation: Images | None = None) -> tuple[str, ...]:
    """Return reasons why activation ranges measured on ``images`` may be wrong, one line each; empty if there are none.

    ``validation`` are images like those on the device; both are uint8 [N, height, width, 3].
    """
    warnings = []
    if len(images) < _MIN_IMAGES:
        warnings.append(
            f"only {count(len(images), 'calibration image')}: too few to cover the ranges of activations, and values "
            f"outside a range are clipped; use {_MIN_IMAGES} or more"
        )
    warnings += image_warnings(images, "calibration")
    if validation is not None and len(validation):
        warnings += _feature_warnings(_image_features(images), _image_features(validation))
    return tuple(warnings)


def image_warnings(images: Images, kind: str) -> list[str]:
    """Return a line for each fault of the ``kind`` ("calibration") images, uint8 [N, height, width, 3]."""
    warnings = []
    noun = f"{kind} image"
    is_uniform = images.std(axis=(1, 2)).max(axis=1) < _UNIFORM_STD
    if 2 * is_uniform.sum() > len(images):
        warnings.append(
            f"{count_of(int(is_uniform.sum()), len(images), noun, 'has', 'have')} a single color: uniform images "
            "give unrepresentative activation ranges and nothing to detect; use images that show the objects"
        )
    is_gray = _is_gray(images) & ~is_uniform
    if 2 * is_gray.sum() > len(images):
        warnings.append(
            f"{count_of(int(is_gray.sum()), len(images), noun, 'is', 'are')} gray: right only for a model and a camera "
            "without color; else use color images"
        )
    distinct = len(np.unique(images.reshape(len(images), -1), axis=0))
    if len(images) > 1 and distinct <= len(images) // 2:
        warnings.append(f"only {distinct} of the {len(images)} {noun}s are different; use other images")
    return warnings


def _is_gray(images: Images) -> npt.NDArray[np.bool_]:
    pixels = images[:, ::4, ::4].astype(np.int16)  # as in _image_features
    differences = [np.abs(pixels[..., 1] - pixels[..., i]).mean(axis=(1, 2)) for i in (0, 2)]
    is_gray: npt.NDArray[np.bool_] = np.maximum(*differences) < _GRAY_DIFFERENCE
    return is_gray


def _image_features(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return [N, 4], the values of _FEATURES (0–255), which depend on light and camera."""
    # Every fourth pixel suffices for means and takes a sixteenth of the time.
    pixels = images[:, ::4, ::4].astype(np.float64)
    red, green, blue = (pixels[..., i].mean(axis=(1, 2)) for i in range(3))
    return np.stack([(red + green + blue) / 3, red - green, blue - green, pixels.std(axis=(1, 2, 3))], axis=1)


def _feature_warnings(calibration: npt.NDArray[np.float64], validation: npt.NDArray[np.float64]) -> list[str]:
    """Return a warning for each of _FEATURES whose median differs; the arguments are [N, 4] and [M, 4]."""
    warnings = []
    low, medians, high = np.quantile(validation, (0.16, 0.5, 0.84), axis=0)
    spreads = np.maximum((high - low) / 2, _MIN_SPREAD)
    for name, value, median, spread in zip(_FEATURES, np.median(calibration, axis=0), medians, spreads, strict=True):
        if abs(value - median) > _MAX_DEVIATION * spread:
            warnings.append(
                f"calibration images differ from the validation images: median {name} {value:.0f} instead of "
                f"{median:.0f} ± {spread:.0f} (0–255), so that ranges may not fit; calibrate on images from the place "
                "of use"
            )
    return warnings
