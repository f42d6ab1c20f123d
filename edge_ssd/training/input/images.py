"""Dataset at the network's input size: decoded once and kept in memory or on disk, or decoded on demand.

Images are always decoded and resized by the runtime's code, so that the network trains on what the device shows it.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.console.counts import count
from edge_ssd.console.progress import ProgressCallback, no_progress
from edge_ssd.data.check_images import (
    ImageCheck,
    ImageChecks,
    apply_checks,
    drop_damaged,
    ignore_pillow_warnings,
    read_checked_image,
)
from edge_ssd.data.dataset import Dataset, Sample, problem_lines
from edge_ssd.errors import ImageError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import (
    ImageArray,
    ResizeTransform,
    preprocess,
    read_image,
    read_input,
    resize_transform,
)
from edge_ssd.training.input.cache import existing_folder

__all__ = ["ImageDataset", "ImageStore", "OnDemandImages", "load_images"]

_log = logging.getLogger(__name__)


# Images that are decoded in parallel before the first is stored; bounds the memory of decoded images.
_CHUNK = 64


class ImageStore(Protocol):
    """Images of one size, in memory or on disk: indexed as a uint8 array [N, height, width, 3]."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, indices: slice | npt.NDArray[np.int64], /) -> ImageArray: ...


@dataclass(frozen=True)
class ImageDataset:
    """Dataset at the network's input size.

    Attributes:
        images: uint8 [N, height, width, 3].
        labels: float32 [N, M, 5], rows (class id, xyxy in 0–1 of the input), −1 for padding.
        transforms: how each image was resized and placed in the network's input.
        dataset: the images with their boxes in pixels, without those that cannot be decoded.
        background: further images without objects, which training mixes in.
    """

    images: ImageStore
    labels: FloatArray
    transforms: tuple[ResizeTransform, ...]
    dataset: Dataset
    background: ImageStore | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def failure(self) -> ImageError | None:
        """The error of an image that could not be decoded on demand."""
        stores = (self.images, self.background)
        return next((failure for store in stores if (failure := getattr(store, "failure", None)) is not None), None)

    def take(self, indices: npt.NDArray[np.int64]) -> tuple[ImageArray, FloatArray]:
        """Return the images [..., height, width, 3] and labels [..., M, 5] of ``indices`` [...].

        Indices of ``len(self)`` and above are those of ``background``.
        """
        flat = indices.reshape(-1)
        is_background = flat >= len(self)
        if self.background is None or not is_background.any():
            images, labels = self.images[flat], self.labels[flat]
        else:
            images = np.empty((len(flat), *self.images.shape[1:]), np.uint8)
            labels = np.full((len(flat), *self.labels.shape[1:]), -1, np.float32)
            images[~is_background] = self.images[flat[~is_background]]
            labels[~is_background] = self.labels[flat[~is_background]]
            images[is_background] = self.background[flat[is_background] - len(self)]
        return images.reshape(*indices.shape, *images.shape[1:]), labels.reshape(*indices.shape, *labels.shape[1:])


class OnDemandImages:
    """Images that are decoded at every access, several in parallel.

    ``failure`` is the last exception: ``tf.data`` replaces it by an error of its own.
    """

    def __init__(self, samples: Sequence[Sample], spec: InputSpec, transforms: Sequence[ResizeTransform]) -> None:
        self._samples, self._spec, self._transforms = samples, spec, transforms
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
        self.failure: ImageError | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._samples), *self._spec.size, 3)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, indices: slice | npt.NDArray[np.int64], /) -> ImageArray:
        selected = np.arange(len(self))[indices]
        try:
            return np.stack(list(self._pool.map(self._decode, selected.tolist())))
        except ImageError as error:
            self.failure = error
            raise

    def _decode(self, index: int) -> ImageArray:
        image, transform = read_input(self._samples[index].path, self._spec)
        if transform != self._transforms[index]:
            raise ImageError(
                f"{self._samples[index].path}: its size is {transform.image_size}, but it was "
                f"{self._transforms[index].image_size} when training started; restore the labeled image"
            )
        return image


def load_images(
    dataset: Dataset,
    spec: InputSpec,
    progress: ProgressCallback = no_progress,
    cache: Literal["memory", "disk", "none"] = "memory",
    folder: Path | None = None,
    strict: bool = False,
) -> ImageDataset:
    """Return the images and boxes of ``dataset`` at the network's input size.

    Damaged images are dropped. They, images that are nearly of one color and scaled values are logged.

    Args:
        progress: called with (images decoded, images in total).
        cache: "memory" keeps the decoded images in memory, "disk" in a file without a name, which the system removes
            with the process; "none" decodes an image at every access.
        folder: for "disk", the folder of the file, or its nearest parent that exists; None for the working directory.
        strict: raise for a damaged image.

    Raises:
        DataError: no image can be decoded, or one cannot be and ``strict`` is set.
        ImageError: with "none", an image cannot be read at the access.
    """
    transforms: list[ResizeTransform] = []
    checks: list[ImageCheck] = []
    if cache == "none":
        usable = drop_damaged(dataset, ImageChecks(), strict, progress)
        _log_findings(dataset, usable)
        transforms += (
            resize_transform(sample.size or read_image(sample.path).shape[:2], spec) for sample in usable.samples
        )
        images: ImageStore = OnDemandImages(usable.samples, spec, transforms)
        return ImageDataset(images, _labels(usable, transforms), tuple(transforms), usable)

    def decode(sample: Sample) -> tuple[ImageArray, ResizeTransform, ImageCheck] | ImageCheck:
        result = read_checked_image(sample.path, spec)
        if isinstance(result, ImageCheck):
            return result
        (pixels, size), check = result
        return *preprocess(pixels, spec, image_size=size), check

    def decoded() -> Iterator[ImageArray]:
        with ignore_pillow_warnings(), ThreadPoolExecutor() as pool:  # decoding releases the GIL
            for start in range(0, len(dataset), _CHUNK):
                for result in pool.map(decode, dataset.samples[start : start + _CHUNK]):
                    if isinstance(result, ImageCheck):
                        checks.append(result)
                        if strict:
                            apply_checks(dataset.with_samples(dataset.samples[: len(checks)]), checks, strict)
                        continue
                    image, transform, check = result
                    transforms.append(transform)
                    checks.append(check)
                    yield image
                    progress(len(checks), len(dataset))

    if cache == "memory":
        array = np.empty((len(dataset), *spec.size, 3), np.uint8)
        for i, image in enumerate(decoded()):
            array[i] = image
        images = array[: len(transforms)]
    else:
        # Written, not mapped: a full disk then raises here and does not kill the process later.
        with tempfile.TemporaryFile(dir=existing_folder(folder or Path.cwd())) as file:
            for image in decoded():
                file.write(image.tobytes())
            file.flush()
            # A file without a byte cannot be mapped; apply_checks() raises for it.
            if transforms:
                images = np.memmap(file, np.uint8, "r", shape=(len(transforms), *spec.size, 3))
    usable = apply_checks(dataset, checks, strict)
    _log_findings(dataset, usable)
    return ImageDataset(images, _labels(usable, transforms), tuple(transforms), usable)


def _log_findings(dataset: Dataset, usable: Dataset) -> None:
    """Log what decoding found: the problems and notices of ``usable`` that ``dataset`` does not have."""
    for notice in usable.notices[len(dataset.notices) :]:
        _log.info("%s", notice)
    dropped = len(dataset) - len(usable)
    if dropped > 1:  # else the line of the image says it
        _log.warning("%d of %s cannot be decoded and are dropped:", dropped, count(len(dataset), "image"))
    for line in problem_lines(usable.problems[len(dataset.problems) :]):
        _log.warning("%s", line)


def _labels(dataset: Dataset, transforms: Sequence[ResizeTransform]) -> FloatArray:
    num_rows = max([1, *(len(sample.class_ids) for sample in dataset.samples)])
    labels = np.full((len(dataset), num_rows, 5), -1, np.float32)
    for row, sample, transform in zip(labels, dataset.samples, transforms, strict=True):
        row[: len(sample.class_ids), 0] = sample.class_ids
        row[: len(sample.class_ids), 1:] = transform.from_pixels(sample.boxes_xyxy)
    return labels
