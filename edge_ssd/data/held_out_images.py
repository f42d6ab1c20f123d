"""Search for the images that the training of a model held out, in a dataset that may lie elsewhere by now."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_ssd.data.dataset import Dataset
from edge_ssd.data.held_out import HELD_OUT_FILE, HeldOut, image_name
from edge_ssd.runtime.model_file import MODEL_NAME

__all__ = ["find_held_out", "is_same_dataset", "name_some", "parse_held_out", "where_listed"]

# Names in a message.
_NAMED = 3

# Another dataset may share a few common names, such as 1.jpg. A part of the dataset lacks most of the held-out images,
# but about as large a share of its images is held out as of the whole.
_MIN_SHARE_OF_NAMES = 0.5
_MIN_IMAGES, _MIN_SHARE_OF_IMAGES = 5, 0.05


def parse_held_out(description: Mapping[str, Any]) -> HeldOut | None:
    """Return the entry "held_out" of a model's or a bundle's description; None if it is missing or invalid."""
    try:
        return HeldOut.from_dict(description["held_out"])
    except (KeyError, ValueError):
        return None


def name_some(names: Sequence[str]) -> str:
    """Return the first three names and the number of the others: "a.jpg, b.jpg, c.jpg and 4 more"."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def where_listed(model: Path) -> str:
    """Return where the names of the images that training held out are listed.

    Args:
        model: a ``.keras`` or ``.tflite`` file, or the folder of a training run.
    """
    if model.is_dir():
        model = model / MODEL_NAME
    if model.suffix != ".keras":
        return f"the output of: edge-ssd inspect {shlex.quote(str(model))} --json"
    beside = model.with_name(HELD_OUT_FILE)
    return str(beside) if beside.is_file() else f"config.json in {model}, which is a ZIP archive"


def find_held_out(dataset: Dataset, held_out: HeldOut) -> frozenset[int]:
    """Return the indices of the samples that are held out.

    A sample is found by its path relative to the dataset's root. If less than half of the names are found so, the root
    may have been another folder: then by the end of the path, and at last by the file name where it is unique.
    """
    names = [image_name(sample.path, dataset.root) for sample in dataset.samples]
    known = frozenset(held_out.names)
    found = frozenset(index for index, name in enumerate(names) if name in known)
    if len(found) >= _MIN_SHARE_OF_NAMES * len(known):
        return found
    return found | _find_by_file_name(names, held_out.names)


def is_same_dataset(found: int, held_out: HeldOut, total: int) -> bool:
    """Return whether a dataset of ``total`` images is (part of) the one that ``found`` images were held out of."""
    if not found:
        return False
    return found >= _MIN_SHARE_OF_NAMES * len(held_out.names) or (
        found >= _MIN_IMAGES and found >= _MIN_SHARE_OF_IMAGES * total
    )


def _find_by_file_name(names: Sequence[str], held_out: Sequence[str]) -> frozenset[int]:
    by_file_name: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        by_file_name.setdefault(_file_name(name), []).append(index)
    uses = Counter(map(_file_name, held_out))
    found = set()
    for name in held_out:
        file_name = _file_name(name)
        candidates = by_file_name.get(file_name, [])
        nested = [i for i in candidates if f"/{names[i]}".endswith(f"/{name}") or name.endswith(f"/{names[i]}")]
        if len(nested) == 1:
            found.add(nested[0])
        elif len(candidates) == 1 and uses[file_name] == 1:
            found.add(candidates[0])
    return frozenset(found)


def _file_name(name: str) -> str:
    return name.rpartition("/")[2]
