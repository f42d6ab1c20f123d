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
from edge_ssd.errors import SettingError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import preprocess, read_image

__all__ = ["DEFAULT_IMAGES", "MAX_IMAGES", "Calibration", "choose_calibration"]

# The ranges hardly move after about a hundred pictures; more only take longer.
DEFAULT_IMAGES = 128
MAX_IMAGES = 200


@dataclass(frozen=True)
class Calibration:
    """The chosen pictures.

    Attributes:
        images: uint8 [N, height, width, 3] at the network's input size.
        names: paths relative to the data set's folder.
        sha256: of the list of names and file contents: says which pictures a file was calibrated on.
    """

    images: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    sha256: str

    def __len__(self) -> int:
        return len(self.names)


def choose_calibration(dataset: Dataset, spec: InputSpec, count: int = DEFAULT_IMAGES, seed: int = 0) -> Calibration:
    """Draw ``count`` pictures at random (all, if there are fewer); the same seed draws the same ones.

    Raises :class:`SettingError` for a count outside 1–200 or a negative seed, :class:`ImageError` for a picture
    that cannot be read.
    """
    if not 1 <= count <= MAX_IMAGES:
        raise SettingError(f"cannot calibrate on {count} pictures; choose from 1 to {MAX_IMAGES}")
    if seed < 0:
        raise SettingError(f"the seed must be a whole number from 0, got {seed}")
    # Sorted first, so that the draw does not depend on the order in which a loader lists them.
    samples = sorted(dataset.samples, key=lambda sample: _name(dataset, sample))
    order = np.random.default_rng(seed).permutation(len(samples))[:count]
    chosen = [samples[i] for i in sorted(order)]
    lines = [f"{_name(dataset, sample)} {hashlib.sha256(sample.path.read_bytes()).hexdigest()}\n" for sample in chosen]
    return Calibration(
        images=np.stack([preprocess(read_image(sample.path), spec)[0] for sample in chosen]),
        names=tuple(_name(dataset, sample) for sample in chosen),
        sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
    )


def _name(dataset: Dataset, sample: Sample) -> str:
    if sample.path.is_relative_to(dataset.root):
        return sample.path.relative_to(dataset.root).as_posix()
    return sample.path.name
