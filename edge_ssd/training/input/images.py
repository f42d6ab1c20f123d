"""Dataset at the network's input size: decoded once and kept in memory or on disk, or decoded on demand.

Images are always decoded and resized by the runtime's code, so that the network trains on what the device shows it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import ImageError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import ImageArray, ResizeTransform, preprocess, read_image, resize_transform
from edge_ssd.training.input.cache import existing_folder

__all__ = ["ImageDataset", "ImageStore", "OnDemandImages", "load_images"]

Progress = Callable[[int, int], None]

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
    """

    images: ImageStore
    labels: FloatArray
    transforms: tuple[ResizeTransform, ...]

    def __len__(self) -> int:
        return len(self.images)


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
        image, transform = preprocess(read_image(self._samples[index].path), self._spec)
        if transform != self._transforms[index]:
            raise ImageError(
                f"{self._samples[index].path}: its size is {transform.image_size}, but it was "
                f"{self._transforms[index].image_size} when training started; restore the labeled image"
            )
        return image


def load_images(
    dataset: Dataset,
    spec: InputSpec,
    progress: Progress | None = None,
    cache: Literal["memory", "disk", "none"] = "memory",
    folder: Path | None = None,
) -> ImageDataset:
    """Return the images and boxes of ``dataset`` at the network's input size.

    Args:
        progress: called with (images decoded, images in total).
        cache: "memory" keeps the decoded images in memory, "disk" in a file without a name, which the system removes
            with the process; "none" decodes an image at every access.
        folder: for "disk", the folder of the file, or its nearest parent that exists; None for the working directory.

    Raises:
        ImageError: an image cannot be read; with "none" it is raised at the access.
    """
    shape = (len(dataset), *spec.size, 3)
    transforms: list[ResizeTransform] = []
    if cache == "none":
        transforms += (
            resize_transform(sample.size or read_image(sample.path).shape[:2], spec) for sample in dataset.samples
        )
        images: ImageStore = OnDemandImages(dataset.samples, spec, transforms)
        return ImageDataset(images, _labels(dataset, transforms), tuple(transforms))

    def decoded() -> Iterator[ImageArray]:
        with ThreadPoolExecutor() as pool:  # decoding releases the GIL
            for start in range(0, len(dataset), _CHUNK):
                chunk = dataset.samples[start : start + _CHUNK]
                for image, transform in pool.map(lambda sample: preprocess(read_image(sample.path), spec), chunk):
                    transforms.append(transform)
                    yield image
                    if progress is not None:
                        progress(len(transforms), len(dataset))

    if cache == "memory":
        images = np.empty(shape, np.uint8)
        for i, image in enumerate(decoded()):
            images[i] = image
    else:
        # Written, not mapped: a full disk then raises here and does not kill the process later.
        with tempfile.TemporaryFile(dir=existing_folder(folder or Path.cwd())) as file:
            for image in decoded():
                file.write(image.tobytes())
            file.flush()
            images = np.memmap(file, np.uint8, "r", shape=shape)
    return ImageDataset(images, _labels(dataset, transforms), tuple(transforms))


def _labels(dataset: Dataset, transforms: Sequence[ResizeTransform]) -> FloatArray:
    num_rows = max([1, *(len(sample.class_ids) for sample in dataset.samples)])
    labels = np.full((len(dataset), num_rows, 5), -1, np.float32)
    for row, sample, transform in zip(labels, dataset.samples, transforms, strict=True):
        row[: len(sample.class_ids), 0] = sample.class_ids
        row[: len(sample.class_ids), 1:] = transform.from_pixels(sample.boxes_xyxy)
    return labels
