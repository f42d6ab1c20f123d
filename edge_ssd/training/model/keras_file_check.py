"""Check of a ``.keras`` file before Keras builds the model that it describes.

A small file may describe a network of any size, name a class of another program, or unpack to gigabytes. Here the
description, the sizes in the ZIP directory and the shapes in the weights file are compared first.
"""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path
from typing import Any

from edge_ssd.errors import EdgeSSDError, ModelError
from edge_ssd.network import Network
from edge_ssd.runtime.network_file import read_config
from edge_ssd.runtime.zip_entries import ZIP_ERRORS, open_zip, read_entry

__all__ = ["check_keras_file", "count_parameters"]

_WEIGHTS = "model.weights.h5"
_MAX_OTHER_BYTES = 64 * 2**20  # of the entries beside the weights
_SLACK = 4 * 2**20  # bytes of a weights file that are no weights, and more than a tiny network has
_MAX_RATIO = 8  # of unpacked to packed weights; trained ones are hardly smaller when packed
_MAX_FEATURE_BYTES = 4 * 2**30  # of the largest feature map, with the copies that its layers make
_COPIES = 3


def check_keras_file(path: Path) -> None:
    """Raise ModelError if a ``.keras`` file is not a TinySSD, or if its sizes do not fit its description."""
    config = read_config(path)
    if config.get("class_name") != "TinySSD":
        kind = str(config.get("class_name"))[:80]
        raise ModelError(f"{path}: holds a {kind}, not a TinySSD that 'edge-ssd train' wrote")
    try:
        network = Network.from_dict(config["config"]["network"])
    except (EdgeSSDError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: {error}; expected a model that 'edge-ssd train' wrote") from None
    height, width = network.input.size
    shrunk = [channels / 4**i for i, channels in enumerate(network.base_channels)]
    features = int(height * width * max(shrunk) * 4 * _COPIES)
    if features > _MAX_FEATURE_BYTES:
        raise ModelError(f"{path}: its network needs {features / 1e9:.1f} GB for one image; train a smaller one")
    needed = 4 * count_parameters(network)
    try:
        with open_zip(path) as archive:
            _check_sizes(archive, needed)
            stored = _stored_bytes(read_entry(archive, _WEIGHTS, 2 * needed + _SLACK))
            if stored > 2 * needed + _SLACK:
                raise ValueError(f"its weights take {stored} bytes, its description needs {needed}")
    except ZIP_ERRORS as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"{path}: damaged, or not a model that 'edge-ssd train' wrote ({reason[0][:200]})") from None


def count_parameters(network: Network) -> int:
    """Return the number of weights of a network, including the means and variances of batch normalization."""
    blocks = (*network.base_channels, *network.block_channels)
    total = 0
    for before, channels in itertools.pairwise((3, *blocks)):
        # Two 3×3 convolutions with bias, each with four values a channel of batch normalization.
        total += 9 * channels * (before + channels) + 2 * channels + 8 * channels
    features = (network.base_channels[-1], *network.block_channels, blocks[-1])
    for channels, level in zip(features, network.levels, strict=True):
        outputs = level.anchors_per_cell * (network.num_classes + 1 + 4)
        total += (9 * channels + 1) * outputs
    if network.top_down:
        total += sum((coarser + 1) * channels for channels, coarser in itertools.pairwise(features[:-1]))
    return total


def _check_sizes(archive: zipfile.ZipFile, needed: int) -> None:
    """Raise ValueError if the sizes in the directory do not fit ``needed`` bytes of weights."""
    weights = archive.getinfo(_WEIGHTS)
    if sum(info.file_size for info in archive.infolist()) - weights.file_size > _MAX_OTHER_BYTES:
        raise ValueError(f"its other parts have more than {_MAX_OTHER_BYTES // 2**20} MB")
    too_small = needed > 2 * weights.file_size + _SLACK
    too_large = weights.file_size > 2 * needed + _SLACK
    if too_small or too_large:
        raise ValueError(f"its weights have {weights.file_size} bytes, its description needs {needed}")
    if weights.file_size > _MAX_RATIO * weights.compress_size + _SLACK:
        raise ValueError(f"its weights unpack to {weights.file_size} bytes")


def _stored_bytes(content: bytes) -> int:
    """Return the bytes of all arrays of a weights file, by their shapes; raise ValueError for links to elsewhere."""
    import h5py

    total = 0
    with h5py.File(io.BytesIO(content)) as file:
        groups: list[Any] = [file]
        seen = set()
        while groups:
            group = groups.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError("its weights link to another place")
                item = group[name]
                if isinstance(item, h5py.Dataset):
                    if item.external:
                        raise ValueError("its weights are in another file")
                    total += int(item.size or 0) * item.dtype.itemsize
                elif isinstance(item, h5py.Group) and hash(item.id) not in seen:
                    seen.add(hash(item.id))
                    groups.append(item)
    return total
