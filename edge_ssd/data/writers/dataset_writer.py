"""Interface of a writer of datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge_ssd.data.dataset import Sample

__all__ = ["DatasetWriter", "NamedSample"]


@dataclass(frozen=True, eq=False)
class NamedSample:
    """A sample, and what its label file states about the image.

    Attributes:
        name: file name in the written dataset.
        size: (height, width) in pixels after rotation by the EXIF orientation, as the boxes.
    """

    name: str
    sample: Sample
    size: tuple[int, int]


class DatasetWriter(Protocol):
    """What a module of :mod:`edge_ssd.data.writers` provides to write one label format.

    Attributes:
        LABELS_BY_STEM: whether an image has a label file of the same name, up to the suffix: two images of a folder
            then cannot differ in their suffixes only.
    """

    LABELS_BY_STEM: bool

    def image_folder(self, split: str) -> str:
        """Return the folder of a split's images, relative to the dataset; "" is the split of an undivided dataset."""

    def write_labels(self, root: Path, labels: Sequence[str], splits: Mapping[str, Sequence[NamedSample]]) -> None:
        """Write all label files below the folder ``root``, which exists.

        Reading them must return the same boxes in float32, the same splits and, where the format states it, the same
        order of the classes. Raises DataError for a class name that the format cannot express.

        Args:
            labels: class names, indexed by the class ids.
            splits: split → its images; the only key of an undivided dataset is "".
        """
