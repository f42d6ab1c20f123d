"""Network description of a model file, read without loading the model."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_ssd.errors import EdgeSSDError, ModelError
from edge_ssd.network import Network
from edge_ssd.runtime.model_file import find_keras_file
from edge_ssd.runtime.shipped_models import find_model

__all__ = ["read_description", "read_network"]


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
    try:
        # A .keras file is a ZIP, and the model's own get_config() is in its config.json.
        with zipfile.ZipFile(path) as archive:
            description = json.loads(archive.read("config.json"))["config"]
        return Network.from_dict(description["network"]), description
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EdgeSSDError) as error:
        raise ModelError(f"{path}: not a model that 'edge-ssd train' wrote ({error})") from None
