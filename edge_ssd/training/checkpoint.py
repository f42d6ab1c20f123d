"""Checkpoint of a training run: one ``.npz`` file that is replaced atomically.

``tf.train.Checkpoint`` is not used: with Keras 3 it silently restores neither the optimizer's moments nor all weights.
Here names and shapes are compared exactly.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_ssd.atomic_write import atomic_path
from edge_ssd.errors import DataError

__all__ = ["load_checkpoint", "save_checkpoint"]

_EPOCHS = "finished_epochs"


def save_checkpoint(path: Path, finished_epochs: int, variables: Mapping[str, Sequence[Any]]) -> None:
    """Write the number of epochs and ``variables``, lists of objects with ``numpy()`` and ``shape``, to ``path``."""
    arrays: dict[str, Any] = {_EPOCHS: np.int64(finished_epochs)}
    arrays |= {name: variable.numpy() for name, variable in _by_name(variables).items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_checkpoint(path: Path, variables: Mapping[str, Sequence[Any]]) -> int:
    """Assign what :func:`save_checkpoint` wrote to ``path`` to ``variables``; return the number of finished epochs.

    Raises:
        DataError: the file is damaged or belongs to other variables; nothing is assigned.
    """
    targets = _by_name(variables)
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


def _by_name(variables: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {f"{group}/{i}": value for group, values in variables.items() for i, value in enumerate(values)}
