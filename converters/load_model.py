"""Load a model for conversion, with a precise error message for a file that is unsuitable."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ssd.console.counts import count
from edge_ssd.errors import BundleError, ModelError
from edge_ssd.network import Network
from edge_ssd.runtime.model_file import MODEL_NAME, find_keras_file
from edge_ssd.runtime.network_file import read_config
from edge_ssd.runtime.shipped_models import find_model
from edge_ssd.runtime.zip_entries import open_zip, read_entry

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["find_float_model", "load_model"]

_MAX_WEIGHTS = 256 * 2**20  # bytes
_SHIPPED = Path(__file__).resolve().parent / "models"


def find_float_model(model: str | os.PathLike[str]) -> Path:
    """Return the path of ``model``: a file, that of a run's folder, else the float model of the shipped model's name.

    The names are those of :func:`edge_ssd.runtime.shipped_models.find_model`. The float models are in a checkout only.

    Raises:
        ModelError: there is neither such a file nor such a shipped model, or its float model is not installed, or the
            file is a converted model.
    """
    path, name = Path(model), os.fsdecode(model)
    if path.suffix.lower() == ".tflite":
        raise ModelError(f"{name}: is a converted model: give the .keras model that it was made from")
    if path.suffix or path.name != name or path.is_file() or (path / MODEL_NAME).is_file():
        return find_keras_file(path)
    try:
        shipped = find_model(name).with_suffix(".keras").name
    except BundleError as error:
        if path.is_dir():
            return find_keras_file(path)  # its error names the models in the folder
        raise ModelError(str(error)) from None
    if not (_SHIPPED / shipped).is_file():
        raise ModelError(
            f"{name}: the float model of this shipped model is not installed; it is converters/models/{shipped} of a "
            "checkout of Edge SSD: give its path"
        )
    return _SHIPPED / shipped


def load_model(path: str | os.PathLike[str]) -> TinySSD:
    """Load a TinySSD with :func:`edge_ssd.training.model.tiny_ssd.load_tiny_ssd`.

    Raises:
        ModelError: the file cannot be loaded. For another kind of model, or heads with other shapes than those of the
            description in the file, the message contains the difference.
    """
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    try:
        return load_tiny_ssd(path)
    except ModelError as error:
        difference = _find_difference(Path(path))
        if difference is None:
            raise
        raise ModelError(f"{path}: {difference}; train a model with 'edge-ssd train'") from error


def _find_difference(path: Path) -> str | None:
    """Return how the file differs from a TinySSD; None if that cannot be determined."""
    # The file has failed to load before: a further error adds nothing.
    try:
        config = read_config(path)
        if config.get("class_name") != "TinySSD":
            return _describe_other_model(config)
        network = Network.from_dict(config["config"]["network"])
        with open_zip(path) as archive:
            return _head_difference(network, read_entry(archive, "model.weights.h5", _MAX_WEIGHTS))
    except Exception:
        return None


def _head_difference(network: Network, weights: bytes) -> str | None:
    """Return which heads in a weights file have other channels than ``network``; None if all fit."""
    import h5py

    wrong = []
    with h5py.File(io.BytesIO(weights)) as file:
        heads = (("classes", "cls_predictors", network.num_classes + 1), ("boxes", "bbox_predictors", 4))
        for kind, group, columns in heads:
            for i, level in enumerate(network.levels):
                layer = "conv2d" if i == 0 else f"conv2d_{i}"
                channels = int(file[f"{group}/{layer}/vars/1"].shape[0])
                expected = level.anchors_per_cell * columns
                if channels != expected:
                    wrong.append(f"{kind}_{i} has {count(channels, 'channel')}, expected {expected}")
    if not wrong:
        return None
    labels = ", ".join(network.labels[:5]) + (", …" if network.num_classes > 5 else "")
    return (
        f"its heads do not fit its own description ({count(network.num_classes, 'label')}: {labels}): {wrong[0]}"
        f"{f' (and {len(wrong) - 1} more)' if len(wrong) > 1 else ''}"
    )


def _describe_other_model(config: Mapping[str, Any]) -> str:
    """Return what a model of another kind is, by its description: it is not built, since it may have any size."""
    shape = (config.get("build_config") or {}).get("input_shape")
    of = ""
    if isinstance(shape, list) and all(size is None or isinstance(size, int) for size in shape):
        of = f" of [{', '.join('?' if size is None else str(size) for size in shape[1:5])}]"
    return (
        f"contains a {str(config['class_name'])[:80]}{of}, not a TinySSD of [H, W, 3] pixels → class logits and box "
        "offsets of each level"
    )
