"""Names of the images that a training run did not train on, and that its model is measured on.

    RUN/held_out.json    {"names": ["images/003.jpg", "images/017.jpg"]}

A random choice cannot be repeated once an image is added to the folder or removed from it, so the names are kept.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from edge_ssd.data.dataset import Dataset, Sample

__all__ = ["HELD_OUT_FILE", "HeldOut", "image_name"]

HELD_OUT_FILE = "held_out.json"
"""Name of the file in the folder of a training run."""


@dataclass(frozen=True)
class HeldOut:
    """Images of a dataset that are held out of the training for validation.

    Attributes:
        names: their names as of :func:`image_name`, sorted; empty if the validation split of the dataset itself is
            used.
    """

    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> HeldOut:
        """Return the names of all images of ``dataset``."""
        return cls(tuple(sorted(image_name(sample.path, dataset.root) for sample in dataset.samples)))

    def divide(self, dataset: Dataset) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
        """Return the samples that are not held out, and those that are, in the order of ``dataset``."""
        names = frozenset(self.names)
        held_out = [image_name(sample.path, dataset.root) in names for sample in dataset.samples]
        pairs = list(zip(dataset.samples, held_out, strict=True))
        return tuple(sample for sample, held in pairs if not held), tuple(sample for sample, held in pairs if held)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible dict for :meth:`from_dict`."""
        return {"names": list(self.names)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> HeldOut:
        """Return the names of a dict from :meth:`to_dict`; raise ValueError if it is no such dict."""
        names = data.get("names") if isinstance(data, Mapping) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"expected a list of names of images, got {str(data)[:80]!r}")
        return cls(tuple(sorted(names)))


def image_name(path: Path, root: Path) -> str:
    """Return the path of an image relative to the root of its dataset, with slashes: "images/003.jpg".

    Of an image outside the root, such as one that is unpacked into a cache, the last folder and the name.
    """
    relative = PurePath(os.path.relpath(path, root))
    return PurePath(*relative.parts[-2:] if ".." in relative.parts else relative.parts).as_posix()
