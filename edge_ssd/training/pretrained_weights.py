"""Pre-trained weights that are shipped with the package, one file for each named network.

A file NAME.npz has the network's description as JSON in ``network``, and each weight in float16 under "LAYER/NUMBER":
half the size of float32, and rounding is small beside the first step of a training. The class heads are left out: the
classes of a dataset are others.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from edge_ssd.atomic_write import atomic_path
from edge_ssd.errors import ModelError
from edge_ssd.network import NETWORKS, Network, tiny_ssd
from edge_ssd.training.initial_weights import CLASS_HEAD, InitialWeights
from edge_ssd.training.model.tiny_ssd import TinySSD, weights_by_layer
from edge_ssd.training.trunk import num_common_blocks, trunk_differences

__all__ = [
    "load_pretrained_weights",
    "pretrained_name",
    "read_pretrained_weights",
    "write_pretrained_weights",
]

_NETWORK = "network"


def pretrained_name(network: Network) -> str | None:
    """Return the name of the pre-trained weights of which ``network`` can take the most; None if it can take none.

    The size of the input, the anchors and the classes may differ, since the layers of the trunk are convolutions. Of a
    network with other channels only the blocks before the first difference fit.
    """
    sources = {name: tiny_ssd(network.labels, **options) for name, options in NETWORKS.items()}
    blocks = {name: num_common_blocks(source, network) for name, source in sources.items()}
    best = max(blocks, key=blocks.__getitem__)
    return best if blocks[best] else None


def load_pretrained_weights(name: str) -> InitialWeights:
    """Return the shipped weights of a named network; raise ModelError if its file is missing, damaged or another's."""
    initial = read_pretrained_weights(_path(name), f"pre-trained weights {name!r}")
    if trunk_differences(initial.network, tiny_ssd(initial.network.labels, **NETWORKS[name])):
        raise ModelError(f"{_path(name)}: has the weights of another network than {name!r}; install edge-ssd again")
    return initial


def read_pretrained_weights(path: Path, source: str) -> InitialWeights:
    """Read a file of :func:`write_pretrained_weights`; ``source`` is what the log calls it.

    Raises:
        ModelError: the file is missing or damaged.
    """
    layers: dict[str, list[Any]] = {}
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            network = Network.from_dict(json.loads(str(file[_NETWORK])))
            for key in file.files:
                if key != _NETWORK:
                    weight = file[key].astype(np.float32)
                    if not np.isfinite(weight).all():
                        raise ValueError(f"{key} has values that are not finite")
                    layers.setdefault(key.rpartition("/")[0], []).append(weight)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: cannot read the pre-trained weights ({error}); install edge-ssd again") from None
    return InitialWeights(source, network, layers)


def write_pretrained_weights(model: TinySSD, path: str | os.PathLike[str]) -> None:
    """Write the weights of a model but for its class heads to ``path`` atomically."""
    arrays: dict[str, Any] = {_NETWORK: np.array(json.dumps(model.network.to_dict()))}
    for layer, weights in weights_by_layer(model).items():
        if not layer.startswith(CLASS_HEAD):
            arrays |= {f"{layer}/{number}": weight.numpy().astype(np.float16) for number, weight in enumerate(weights)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _path(name: str) -> Path:
    return Path(__file__).resolve().parent / "pretrained" / f"{name}.npz"
