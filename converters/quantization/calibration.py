"""Calibration images, which set the ranges of int8 activations.

They go through the runtime's ``preprocess``. Calibrating on pixels other than those of the device is the usual reason
for a quantized detector that detects nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge_ssd.data.check_images import DAMAGED, ImageCheck, read_checked_image, unreadable_problems
from edge_ssd.data.dataset import Dataset, Sample, problem_lines
from edge_ssd.errors import DataError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import preprocess, read_input

__all__ = ["Calibration", "choose_calibration", "read_network_inputs", "span_pixel_range"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Calibration:
    """The N calibration images of a conversion, which were drawn with the random ``seed``.

    Attributes:
        images: uint8 [N, height, width, 3] at the network's input size.
        names: the images' paths relative to the dataset's folder.
        sha256: digest of the names and the files' content.
        num_labeled: number of images with labeled objects.
    """

    images: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    sha256: str
    seed: int
    num_labeled: int = 0

    def __len__(self) -> int:
        return len(self.images)


def choose_calibration(
    dataset: Dataset, spec: InputSpec, count: int, seed: int = 0, strict: bool = False
) -> Calibration:
    """Draw ``count`` images at random, all if ``dataset`` has fewer, resized for ``spec``; ``seed`` fixes the draw.

    Further images take the place of damaged ones, which are logged; with ``strict`` the first one raises.

    Raises:
        DataError: the dataset is empty, no image can be decoded, or one cannot be and ``strict`` is set.
    """
    if not dataset.samples:
        raise DataError(f"{dataset.root}: it has no images to calibrate on; use a folder with images")
    # Sorted, so that the result does not depend on the order of the dataset.
    samples = sorted(dataset.samples, key=lambda sample: _name(dataset, sample))
    images: dict[int, npt.NDArray[np.uint8]] = {}
    damaged: list[tuple[Path, str]] = []
    for index in np.random.default_rng(seed).permutation(len(samples)).tolist():
        if len(images) == count:
            break
        result = read_checked_image(samples[index].path, spec)
        if isinstance(result, ImageCheck):
            damaged.append((samples[index].path, result.error))
            if strict:
                break
        else:
            (pixels, size), _ = result
            images[index] = preprocess(pixels, spec, image_size=size)[0]
    problems = unreadable_problems(damaged, *DAMAGED)
    if problems and (strict or not images):
        raise DataError(str(problems[0]))
    for line in problem_lines(problems):
        _log.warning("%s", line)
    chosen = [samples[index] for index in sorted(images)]
    names = tuple(_name(dataset, sample) for sample in chosen)
    lines = [
        f"{name} {hashlib.sha256(sample.path.read_bytes()).hexdigest()}\n"
        for name, sample in zip(names, chosen, strict=True)
    ]
    return Calibration(
        images=np.stack([images[index] for index in sorted(images)]),
        names=names,
        sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
        seed=seed,
        num_labeled=sum(len(sample.class_ids) > 0 for sample in chosen),
    )


def read_network_inputs(samples: Sequence[Sample], spec: InputSpec) -> npt.NDArray[np.uint8]:
    """Return the images of ``samples`` at the network's input size, uint8 [N, height, width, 3]."""
    return np.stack([read_input(sample.path, spec)[0] for sample in samples])


def span_pixel_range(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return ``images`` [N, height, width, 3], or a copy with two changed corner pixels, that contain 0 and 255.

    The scale of the input is its observed range / 255. Only with the range 0–255 is a uint8 pixel used as it is.
    """
    if images.min() == 0 and images.max() == 255:
        return images
    images = images.copy()
    images[0, 0, 0], images[0, -1, -1] = 0, 255
    return images


def _name(dataset: Dataset, sample: Sample) -> str:
    if sample.path.is_relative_to(dataset.root):
        return sample.path.relative_to(dataset.root).as_posix()
    return sample.path.name
