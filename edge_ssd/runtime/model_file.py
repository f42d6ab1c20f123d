"""Paths of Keras models as users name them: a file, or the folder of the training run that has it."""

from __future__ import annotations

import os
from pathlib import Path

from edge_ssd.console.suggestions import missing_path_hint
from edge_ssd.errors import ModelError

__all__ = ["MODEL_NAME", "find_keras_file"]

MODEL_NAME = "model.keras"
"""Name of the model in the folder of a training run."""


def find_keras_file(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` if it is a file, or the model of a training run if it is the folder of one.

    Raises ModelError if there is neither; the message names a similar path or the models in the folder.
    """
    path = Path(path)
    if os.path.isfile(path):  # noqa: PTH113 (where a NUL byte in the name is no error)
        return path
    if not os.path.isdir(path):  # noqa: PTH112
        if os.path.exists(path):  # noqa: PTH110
            raise ModelError(f"{path}: is not a regular file; expected a .keras model that 'edge-ssd train' wrote")
        hint = missing_path_hint(path)
        raise ModelError(f"{path}: no such file{hint}; expected a .keras model that 'edge-ssd train' wrote")
    if (path / MODEL_NAME).is_file():
        return path / MODEL_NAME
    found = sorted(path.rglob("*.keras"))[:3]
    others = f": name one of its models, such as {', '.join(map(str, found))}" if found else ""
    raise ModelError(f"{path}: is a folder without {MODEL_NAME}{others or ', so no finished training run'}")
