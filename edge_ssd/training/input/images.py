"""A data set at the network's input size: decoded once and kept in memory or on disk, or decoded when it is needed.

In every case the pictures are read and resized by the runtime's own code: what the network is trained on is what
the device shows it.
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

__all__ = ["ImageDataset", "Images", "OnDemand", "load_pictures"]

Progress = Callable[[int, int], None]

# Pictures that are decoded side by side before the first of them is put away: bounds what waits in memory.
_AHEAD = 64


class Images(Protocol):
    """Pictures by number, as a NumPy array [N, height, width, 3] gives them."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, chosen: slice | npt.NDArray[np.int64], /) -> ImageArray: ...


@dataclass(frozen=True)
class ImageDataset:
    """A data set at the network's input size.

    Attributes:
        images: uint8 [N, height, width, 3].
        labels: float32 [N, M, 5], rows (class id, xyxy in 0–1 of the input), −1 for padding.
        placements: where each picture lies in its input.
    """

    images: Images
    labels: FloatArray
    placements: tuple[ResizeTransform, ...]

    def __len__(self) -> int:
        return len(self.images)


class OnDemand:
    """Images that are decoded anew each time they are asked for, several at a time.

    ``failure`` is the error that the last call raised: inside ``tf.data`` it would be lost.
    """

    def __init__(self, samples: Sequence[Sample], spec: InputSpec, placements: Sequence[ResizeTransform]) -> None:
        self._samples, self._spec, self._placements = samples, spec, placements
        self._pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
        self.failure: ImageError | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self._samples), *self._spec.size, 3)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, chosen: slice | npt.NDArray[np.int64], /) -> ImageArray:
        numbers = np.arange(len(self))[chosen]
        try:
            return np.stack(list(self._pool.map(self._decode, numbers.tolist())))
        except ImageError as error:
            self.failure = error
            raise

    def _decode(self, number: int) -> ImageArray:
        image, placement = preprocess(read_image(self._samples[number].path), self._spec)
        if placement != self._placements[number]:
            raise ImageError(
                f"{self._samples[number].path}: its size is {placement.image_size}, but it was "
                f"{self._placements[number].image_size} when training began; put the labelled picture back"
            )
        return image


def load_pictures(
    dataset: Dataset,
    spec: InputSpec,
    progress: Progress | None = None,
    cache: Literal["memory", "disk", "none"] = "memory",
    folder: Path | None = None,
) -> ImageDataset:
    """Bring every picture of ``dataset``, and its boxes, to the network's input.

    Args:
        cache: "memory" keeps all decoded pictures there, "disk" in a file that has no name and goes away with the
            process, however that ends; "none" decodes a picture each time it is shown.
        folder: on whose disk that file is.

    Raises :class:`ImageError` for a picture that cannot be read; with "none" only when it is shown.
    """
    count, shape = len(dataset), (len(dataset), *spec.size, 3)
    if cache == "none":
        placements = [
            resize_transform(sample.size or read_image(sample.path).shape[:2], spec) for sample in dataset.samples
        ]
        return ImageDataset(
            OnDemand(dataset.samples, spec, placements), _labels(dataset, placements), tuple(placements)
        )
    placements = []
    images: ImageArray
    if cache == "memory":
        images = np.empty(shape, np.uint8)
        for i, (image, placement) in enumerate(_decoded(dataset.samples, spec)):
            images[i] = image
            placements.append(placement)
            if progress is not None:
                progress(i + 1, count)
    else:
        # Written and not mapped, so that a full disk is an error here and no dead process later.
        with tempfile.TemporaryFile(dir=existing_folder(folder or Path.cwd())) as file:
            for i, (image, placement) in enumerate(_decoded(dataset.samples, spec)):
                file.write(image.tobytes())
                placements.append(placement)
                if progress is not None:
                    progress(i + 1, count)
            file.flush()
            images = np.memmap(file, np.uint8, "r", shape=shape)
    return ImageDataset(images, _labels(dataset, placements), tuple(placements))


def _decoded(samples: Sequence[Sample], spec: InputSpec) -> Iterator[tuple[ImageArray, ResizeTransform]]:
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter's lock
        for start in range(0, len(samples), _AHEAD):
            yield from pool.map(
                lambda sample: preprocess(read_image(sample.path), spec), samples[start : start + _AHEAD]
            )


def _labels(dataset: Dataset, placements: Sequence[ResizeTransform]) -> FloatArray:
    rows = max([1, *(len(sample.class_ids) for sample in dataset.samples)])
    labels = np.full((len(dataset), rows, 5), -1, np.float32)
    for row, sample, placement in zip(labels, dataset.samples, placements, strict=True):
        row[: len(sample.class_ids), 0] = sample.class_ids
        row[: len(sample.class_ids), 1:] = placement.from_pixels(sample.boxes_xyxy)
    return labels
