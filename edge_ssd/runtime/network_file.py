"""Network description of a model file, read without loading the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_ssd.errors import EdgeSSDError, ModelError
from edge_ssd.network import Network
from edge_ssd.runtime.model_file import find_keras_file
from edge_ssd.runtime.shipped_models import find_model
from edge_ssd.runtime.zip_entries import ZIP_ERRORS, open_zip, read_entry

__all__ = ["read_config", "read_description", "read_network"]

_MAX_CONFIG = 64 * 2**20  # bytes; it has the names of the images that were held out


def read_network(path: Path) -> Network:
    """Return the network of a model; arguments and errors are those of :func:`read_description`."""
    return read_description(path)[0]


def read_description(path: Path) -> tuple[Network, Mapping[str, Any]]:
    """Return the network and the whole description of a ``.keras`` model or a ``.tflite`` bundle.

    Args:
        path: a file, the folder of a training run, or the name of a shipped model.

    Raises:
        ModelError, BundleError: it is none of these, or damaged.
    """
    is_name = not path.suffix and len(path.parts) == 1 and not path.exists()
    if path.suffix == ".tflite" or is_name:
        from edge_ssd.runtime.bundle import read_bundle

        bundle = read_bundle(find_model(path))
        return bundle.network, bundle.metadata
    path = find_keras_file(path)
    description = read_config(path).get("config")
    try:
        if not isinstance(description, dict):
            raise TypeError("it has no configuration")
        return Network.from_dict(description["network"]), description
    except (KeyError, TypeError, ValueError, EdgeSSDError) as error:
        raise ModelError(f"{path}: not a model that 'edge-ssd train' wrote ({error})") from None


def read_config(path: Path) -> Mapping[str, Any]:
    """Return the description in the ``.keras`` file ``path``, with the model's "class_name" and "config".

    Raises:
        ModelError: it is not a ``.keras`` file, or damaged.
    """
    try:
        # A .keras file is a ZIP, and the model's own get_config() is in its config.json.
        with open_zip(path) as archive:
            config = json.loads(read_entry(archive, "config.json", _MAX_CONFIG))
    except (*ZIP_ERRORS, RecursionError) as error:
        raise ModelError(f"{path}: not a model that 'edge-ssd train' wrote ({error})") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path}: not a model that 'edge-ssd train' wrote (its config.json has no object)")
    return config
