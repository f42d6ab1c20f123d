"""Manifest of the images of a training run, from which a resume reports what changed in the folder since.

{"training": {"images/001.jpg": 2914718225}, "validation": {"images/003.jpg": 1263518023}}
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_ssd.console.counts import count
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.data.held_out import image_name

__all__ = ["Manifest"]

_NAMED = 3


@dataclass(frozen=True)
class Manifest:
    """Name of every image, as of :func:`~edge_ssd.data.held_out.image_name`, → CRC-32 of its size and labels."""

    training: Mapping[str, int]
    validation: Mapping[str, int]

    @classmethod
    def of(cls, training: Dataset, validation: Dataset) -> Manifest:
        """Return the manifest of a run's images."""
        return cls(*({image_name(s.path, d.root): _fingerprint(s) for s in d.samples} for d in (training, validation)))

    def changes(self, now: Manifest) -> list[str]:
        """Return one line for each kind of change from this manifest to ``now``, with the first names."""
        before, after = {**self.training, **self.validation}, {**now.training, **now.validation}
        removed = [name for name in before if name not in after]
        held_out = sum(name in self.validation for name in removed)
        kinds = (
            ("{} added: used for training", [name for name in now.training if name not in before]),
            ("{} added: used for validation", [name for name in now.validation if name not in before]),
            ("{} removed" + (f", {held_out} of the validation images" if held_out else ""), removed),
            (
                "{} with other labels or another size",
                [name for name, value in after.items() if before.get(name, value) != value],
            ),
            (
                "{} moved to validation, which the model was trained on: its AP is too high",
                [name for name in now.validation if name in self.training],
            ),
            ("{} moved from validation to training", [name for name in now.training if name in self.validation]),
        )
        return [f"{text.format(_count(names))} ({_first(names)})" for text, names in kinds if names]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible dict for :meth:`from_dict`."""
        return {"training": dict(self.training), "validation": dict(self.validation)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Manifest:
        """Return the manifest of a dict from :meth:`to_dict`."""
        return cls(*({str(name): int(data[part][name]) for name in data[part]} for part in ("training", "validation")))


def _fingerprint(sample: Sample) -> int:
    """Return the CRC-32 of an image's size and labels, whose order does not matter."""
    rows = np.column_stack([sample.class_ids, sample.boxes_xyxy]).astype(np.float32)
    rows = rows[np.lexsort(rows.T)]
    return zlib.crc32(rows.tobytes(), zlib.crc32(repr(sample.size).encode()))


def _count(names: Sequence[str]) -> str:
    return count(len(names), "image")


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
