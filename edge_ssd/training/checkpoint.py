"""The whole state of a training run in one ``.npz``: it is there whole, or the one before is.

``tf.train.Checkpoint`` was tried first; with Keras 3 it restores neither the optimizer's moments nor all weights,
without a word. Arrays by name and an exact comparison of names and shapes leave nothing to chance.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_ssd.errors import DataError
from edge_ssd.files import atomic_path

__all__ = ["load_checkpoint", "save_checkpoint"]

_EPOCHS = "finished_epochs"


def save_checkpoint(path: Path, finished_epochs: int, variables: Mapping[str, Sequence[Any]]) -> None:
    """Write the groups of ``variables`` (anything with ``numpy()`` and ``shape``), in their order."""
    arrays: dict[str, Any] = {_EPOCHS: np.int64(finished_epochs)}
    arrays |= {f"{group}/{i}": value.numpy() for group, values in variables.items() for i, value in enumerate(values)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_checkpoint(path: Path, variables: Mapping[str, Sequence[Any]]) -> int:
    """Assign what :func:`save_checkpoint` wrote to the same groups of variables; returns the finished epochs.

    Raises :class:`DataError` if the file is damaged or not of these variables; then nothing is assigned.
    """
    targets = {f"{group}/{i}": value for group, values in variables.items() for i, value in enumerate(values)}
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        finished_epochs = int(arrays.pop(_EPOCHS))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise DataError(f"{path}: damaged checkpoint ({error}); start a new run, with --from its model.keras") from None
    expected = {name: tuple(value.shape) for name, value in targets.items()}
    if expected != {name: array.shape for name, array in arrays.items()}:
        raise DataError(f"{path}: a checkpoint of another network or optimizer; start a new run in another folder")
    for name, value in targets.items():
        value.assign(arrays[name])
    return finished_epochs
