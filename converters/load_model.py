"""Loading a model for conversion, and saying how it differs where it is not what the converter takes."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ssd.errors import ModelError
from edge_ssd.network import Network

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["load_model"]


def load_model(path: str | os.PathLike[str]) -> TinySSD:
    """Read a TinySSD as :func:`edge_ssd.training.model.tiny_ssd.load_tiny_ssd` does.

    Raises :class:`ModelError`; where the file holds another kind of model, or heads of other shapes than its own
    description asks for, it names the difference.
    """
    from edge_ssd.training.model.tiny_ssd import load_tiny_ssd

    try:
        return load_tiny_ssd(path)
    except ModelError as error:
        difference = _difference(Path(path))
        if difference is None:
            raise
        raise ModelError(f"{path}: {difference}; train a model with 'edge-ssd train'") from error


def _difference(path: Path) -> str | None:
    """What is not as it should be; None where that cannot be told."""
    # The file has failed to load already: whatever else goes wrong here says nothing new.
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            if config.get("class_name") == "TinySSD":
                network = Network.from_dict(config["config"]["network"])
                return _wrong_heads(network, archive.read("model.weights.h5"))
        return _foreign(path)
    except Exception:
        return None


def _wrong_heads(network: Network, weights: bytes) -> str | None:
    import h5py

    wrong = []
    with h5py.File(io.BytesIO(weights)) as file:
        for kind, group, numbers in (
            ("classes", "cls_predictors", network.num_classes + 1),
            ("boxes", "bbox_predictors", 4),
        ):
            for i, level in enumerate(network.levels):
                layer = "conv2d" if i == 0 else f"conv2d_{i}"
                channels = int(file[f"{group}/{layer}/vars/1"].shape[0])
                expected = level.anchors_per_cell * numbers
                if channels != expected:
                    wrong.append(f"{kind}_{i} has {channels} channels where {expected} are needed")
    if not wrong:
        return None
    named = ", ".join(network.labels[:5]) + (", …" if network.num_classes > 5 else "")
    return (
        f"its heads do not fit its own description ({network.num_classes} labels: {named}): {wrong[0]}"
        f"{f' (and {len(wrong) - 1} more)' if len(wrong) > 1 else ''}"
    )


def _foreign(path: Path) -> str:
    import keras

    model = keras.saving.load_model(path, compile=False)
    return (
        f"holds a {type(model).__name__} of {_shapes(model.inputs)} → {_shapes(model.outputs)}, not a TinySSD of "
        "[H, W, 3] pixels → class logits and box offsets of each level"
    )


def _shapes(tensors: Any) -> str:
    def shown(tensor: Any) -> str:
        return f"[{', '.join('?' if size is None else str(size) for size in tensor.shape[1:])}]"

    shapes = [shown(tensor) for tensor in tensors]
    return " + ".join(shapes[:4]) + (" + …" if len(shapes) > 4 else "")
