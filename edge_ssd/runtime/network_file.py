"""Network description of a model file, read without loading the model."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from edge_ssd.errors import EdgeSSDError, ModelError
from edge_ssd.network import Network
from edge_ssd.runtime.model_file import find_keras_file

__all__ = ["read_network"]


def read_network(path: Path) -> Network:
    """Return the network of a ``.keras`` model or ``.tflite`` bundle; raise ModelError or BundleError for others."""
    if path.suffix == ".tflite":
        from edge_ssd.runtime.bundle import read_bundle

        return read_bundle(path).network
    path = find_keras_file(path)
    try:
        # A .keras file is a ZIP, and the model's own get_config() is in its config.json.
        with zipfile.ZipFile(path) as archive:
            return Network.from_dict(json.loads(archive.read("config.json"))["config"]["network"])
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, EdgeSSDError) as error:
        raise ModelError(f"{path}: not a model that 'edge-ssd train' wrote ({error})") from None
