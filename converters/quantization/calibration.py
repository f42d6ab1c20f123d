"""The pictures that quantisation takes its ranges from.

They go through the runtime's own ``preprocess``: a network that is calibrated on other pixels than it meets on
the device is the usual cause of a quantised detector that finds nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import DataError, SettingError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import preprocess, read_image

__all__ = ["DEFAULT_IMAGES", "MAX_IMAGES", "Calibration", "calibration_warnings", "choose_calibration"]

# The ranges hardly move after about a hundred pictures; more only take longer.
DEFAULT_IMAGES = 128
MAX_IMAGES = 200

# Fewer leave the extremes of a layer's values to chance.
_FEW = 32
# A picture whose pixels vary less (standard deviation, of 255) shows nothing.
_FLAT = 4.0
# How far the median of brightness, colour or contrast may lie from the validation pictures', in their own spread.
_UNLIKE = 1.5
# Pictures of one lamp and one wall have no spread of their own; a difference below this (of 255) is none all the same.
_LEAST_SPREAD = 12.0


@dataclass(frozen=True)
class Calibration:
    """The chosen pictures.

    Attributes:
        images: uint8 [N, height, width, 3] at the network's input size.
        names: paths relative to the data set's folder.
        sha256: of the list of names and file contents: says which pictures a file was calibrated on.
        seed: of the draw.
    """

    images: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    sha256: str
    seed: int

    def __len__(self) -> int:
        return len(self.names)


def choose_calibration(dataset: Dataset, spec: InputSpec, count: int = DEFAULT_IMAGES, seed: int = 0) -> Calibration:
    """Draw ``count`` pictures at random (all, if there are fewer); the same seed draws the same ones.

    Raises :class:`SettingError` for a count outside 1–200 or a negative seed, :class:`DataError` for a data set
    without pictures, :class:`ImageError` for a picture that cannot be read.
    """
    if not 1 <= count <= MAX_IMAGES:
        raise SettingError(f"cannot calibrate on {count} pictures; choose from 1 to {MAX_IMAGES}")
    if seed < 0:
        raise SettingError(f"the seed must be a whole number from 0, got {seed}")
    if not dataset.samples:
        raise DataError(f"{dataset.root}: it has no pictures to calibrate on; name a folder with some")
    # Sorted first, so that the draw does not depend on the order in which a loader lists them.
    samples = sorted(dataset.samples, key=lambda sample: _name(dataset, sample))
    order = np.random.default_rng(seed).permutation(len(samples))[:count]
    chosen = [samples[i] for i in sorted(order)]
    lines = [f"{_name(dataset, sample)} {hashlib.sha256(sample.path.read_bytes()).hexdigest()}\n" for sample in chosen]
    return Calibration(
        images=np.stack([preprocess(read_image(sample.path), spec)[0] for sample in chosen]),
        names=tuple(_name(dataset, sample) for sample in chosen),
        sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
        seed=seed,
    )


def calibration_warnings(
    images: npt.NDArray[np.uint8], validation: npt.NDArray[np.uint8] | None = None
) -> tuple[str, ...]:
    """Why ranges taken from ``images`` may not hold, one line each; empty when nothing speaks against them.

    Both are uint8 [N, height, width, 3]; ``validation`` are pictures like those that the network will meet.
    """
    warnings = []
    if len(images) < _FEW:
        warnings.append(
            f"only {len(images)} calibration pictures: the highest and lowest value of a layer are left to chance, "
            f"and what lies beyond them later is cut off; use {_FEW} or more"
        )
    flat = int((images.std(axis=(1, 2, 3)) < _FLAT).sum())
    if 2 * flat > len(images):
        warnings.append(
            f"{flat} of {len(images)} calibration pictures are of one colour: they excite no layer as objects do, so "
            "ranges come out too narrow; use pictures that show the objects"
        )
    different = len(np.unique(images.reshape(len(images), -1), axis=0))
    if different <= len(images) // 2:
        warnings.append(
            f"the {len(images)} calibration pictures are only {different} different ones: they say no more than "
            "those; use others"
        )
    if validation is not None and len(validation):
        warnings += _unlike(_features(images), _features(validation))
    return tuple(warnings)


_FEATURES = ("brightness", "redness", "blueness", "contrast")


def _features(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """[N, 4] values of 255, what the light and the camera make of a picture."""
    # Every fourth pixel is enough for means, and a sixteenth of the work.
    small = images[:, ::4, ::4].astype(np.float64)
    red, green, blue = (small[..., i].mean(axis=(1, 2)) for i in range(3))
    return np.stack([(red + green + blue) / 3, red - green, blue - green, small.std(axis=(1, 2, 3))], axis=1)


def _unlike(mine: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> list[str]:
    warnings = []
    low, middle, high = np.quantile(theirs, (0.16, 0.5, 0.84), axis=0)
    spread = np.maximum((high - low) / 2, _LEAST_SPREAD)
    for name, here, there, scale in zip(_FEATURES, np.median(mine, axis=0), middle, spread, strict=True):
        if abs(here - there) > _UNLIKE * scale:
            warnings.append(
                f"calibration pictures are unlike the validation pictures: {name} {here:.0f} against {there:.0f} "
                f"(of 255, medians; the latter vary by ±{scale:.0f}); ranges may not fit what the network will meet, "
                "so calibrate on pictures from where it will be used"
            )
    return warnings


def _name(dataset: Dataset, sample: Sample) -> str:
    if sample.path.is_relative_to(dataset.root):
        return sample.path.relative_to(dataset.root).as_posix()
    return sample.path.name
