"""Calibration images, which set the ranges of int8 activations.

They go through the runtime's ``preprocess``. Calibrating on pixels other than those of the device is the usual reason
for a quantized detector that detects nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import DataError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import preprocess, read_image

__all__ = ["Calibration", "calibration_warnings", "choose_calibration", "read_network_inputs", "span_pixel_range"]

_MIN_IMAGES = 32
# Standard deviation of the pixels (0–255) below which an image counts as uniform.
_UNIFORM_STD = 4.0
# Difference of medians, in units of the validation images' spread, that gives a warning.
_MAX_DEVIATION = 1.5
# Minimum spread (0–255). Images of one scene in one light have hardly any, and small differences do not matter.
_MIN_SPREAD = 12.0
_FEATURES = ("brightness", "redness", "blueness", "contrast")


@dataclass(frozen=True, eq=False)
class Calibration:
    """The N calibration images of a conversion, which were drawn with the random ``seed``.

    Attributes:
        images: uint8 [N, height, width, 3] at the network's input size.
        names: the images' paths relative to the dataset's folder.
        sha256: digest of the names and the files' content.
    """

    images: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    sha256: str
    seed: int

    def __len__(self) -> int:
        return len(self.images)


def choose_calibration(dataset: Dataset, spec: InputSpec, count: int, seed: int = 0) -> Calibration:
    """Draw ``count`` images at random, all if ``dataset`` has fewer, resized for ``spec``; ``seed`` fixes the draw.

    Raises:
        DataError: the dataset is empty.
        ImageError: an image cannot be read.
    """
    if not dataset.samples:
        raise DataError(f"{dataset.root}: it has no images to calibrate on; use a folder with images")
    # Sorted, so that the result does not depend on the order of the dataset.
    samples = sorted(dataset.samples, key=lambda sample: _name(dataset, sample))
    indices = np.random.default_rng(seed).permutation(len(samples))[:count]
    chosen = [samples[i] for i in sorted(indices)]
    names = tuple(_name(dataset, sample) for sample in chosen)
    lines = [
        f"{name} {hashlib.sha256(sample.path.read_bytes()).hexdigest()}\n"
        for name, sample in zip(names, chosen, strict=True)
    ]
    return Calibration(
        images=read_network_inputs(chosen, spec),
        names=names,
        sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
        seed=seed,
    )


def read_network_inputs(samples: Sequence[Sample], spec: InputSpec) -> npt.NDArray[np.uint8]:
    """Return the images of ``samples`` at the network's input size, uint8 [N, height, width, 3]."""
    return np.stack([preprocess(read_image(sample.path), spec)[0] for sample in samples])


def calibration_warnings(
    images: npt.NDArray[np.uint8], validation: npt.NDArray[np.uint8] | None = None
) -> tuple[str, ...]:
    """Return reasons why activation ranges measured on ``images`` may be wrong, one line each; empty if there are none.

    ``validation`` are images like those on the device; both are uint8 [N, height, width, 3].
    """
    warnings = []
    if len(images) < _MIN_IMAGES:
        warnings.append(
            f"only {len(images)} calibration images: too few to cover the ranges of activations, and values outside a "
            f"range are clipped; use {_MIN_IMAGES} or more"
        )
    uniform = int((images.std(axis=(1, 2, 3)) < _UNIFORM_STD).sum())
    if 2 * uniform > len(images):
        warnings.append(
            f"{uniform} of {len(images)} calibration images have a single color: uniform images give unrepresentative "
            "activation ranges; use images that show the objects"
        )
    distinct = len(np.unique(images.reshape(len(images), -1), axis=0))
    if distinct <= len(images) // 2:
        warnings.append(f"only {distinct} of the {len(images)} calibration images are different; use other images")
    if validation is not None and len(validation):
        warnings += _feature_warnings(_image_features(images), _image_features(validation))
    return tuple(warnings)


def span_pixel_range(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return ``images`` [N, height, width, 3], or a copy with two changed corner pixels, that contain 0 and 255.

    The scale of the input is its observed range / 255. Only with the range 0–255 is a uint8 pixel used as it is.
    """
    if images.min() == 0 and images.max() == 255:
        return images
    images = images.copy()
    images[0, 0, 0], images[0, -1, -1] = 0, 255
    return images


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


def _name(dataset: Dataset, sample: Sample) -> str:
    if sample.path.is_relative_to(dataset.root):
        return sample.path.relative_to(dataset.root).as_posix()
    return sample.path.name
