"""Checkpoint of a training run: one ``.npz`` file that is replaced atomically.

``tf.train.Checkpoint`` is not used: with Keras 3 it silently restores neither the optimizer's moments nor all weights.
Here names and shapes are compared exactly.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_ssd.atomic_write import atomic_path
from edge_ssd.errors import BundleError, DataError
from edge_ssd.runtime.archive import ArrayMismatchError, read_array
from edge_ssd.runtime.zip_entries import ZIP_ERRORS, open_zip, read_entry

__all__ = ["load_checkpoint", "save_checkpoint"]

_EPOCHS = "finished_epochs"
_MAX_HEADER = 256  # bytes, of an array


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
    arrays = {}
    try:
        with open_zip(path) as archive:
            finished_epochs = int(_read(archive, _EPOCHS, "<i8", ()))
            others = {name.removesuffix(".npy") for name in archive.namelist()} ^ {_EPOCHS, *targets}
            if not others:
                for name, value in targets.items():
                    arrays[name] = _read(archive, name, np.dtype(value.numpy().dtype).str, tuple(value.shape))
    except ArrayMismatchError:
        others = {path.name}
    except (*ZIP_ERRORS, BundleError) as error:
        raise DataError(f"{path}: damaged checkpoint ({error}); start a new run, with --from its model.keras") from None
    if others:
        raise DataError(f"{path}: a checkpoint of another network or optimizer; start a new run in another folder")
    if finished_epochs < 0:
        raise DataError(f"{path}: damaged checkpoint; start a new run, with --from its model.keras")
    for name, value in targets.items():
        value.assign(arrays[name])
    return finished_epochs


def _read(archive: zipfile.ZipFile, name: str, dtype: str, shape: tuple[int, ...]) -> Any:
    """Return an array of the file; nothing is allocated before its size is known to be the variable's."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if archive.getinfo(f"{name}.npy").file_size > size + _MAX_HEADER:
        raise ArrayMismatchError(f"{name} is larger than the variable")
    return read_array(read_entry(archive, f"{name}.npy", size + _MAX_HEADER), name, dtype, shape)


def _by_name(variables: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {f"{group}/{i}": value for group, values in variables.items() for i, value in enumerate(values)}
