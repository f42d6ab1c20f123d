"""Initialization of a network with the weights of another model (``--from``): what is taken, and what is new."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edge_ssd.console.counts import count, count_of
from edge_ssd.network import Network
from edge_ssd.training.model.tiny_ssd import TinySSD, load_tiny_ssd
from edge_ssd.training.trunk import check_trunk

__all__ = ["copy_weights", "load_initial_model"]

_log = logging.getLogger(__name__)

_CLASS_HEAD, _BOX_HEAD = "classes_", "boxes_"


def load_initial_model(path: Path, network: Network) -> TinySSD:
    """Read a model whose weights shall initialize ``network``; raise ModelError if its trunk is another one."""
    model = load_tiny_ssd(path)
    check_trunk(path, model.network, network)
    return model


def copy_weights(source: TinySSD, target: TinySSD, path: Path | None = None) -> None:
    """Copy the weights of all layers that both models have, and log with the name ``path`` which ones are new.

    Class heads are copied by the names of the classes if both models have the same ones, else by position. They are
    new if the number of classes differs, and all heads of a level if its number of anchors does.
    """
    available = _weights_by_layer(source)
    layers = _weights_by_layer(target)
    new: list[str] = []
    for name, weights in layers.items():
        values = [weight.numpy() for weight in available.get(name, [])]
        if name.startswith(_CLASS_HEAD):
            values = [_reorder_classes(value, source.network.labels, target.network.labels) for value in values]
        if [value.shape for value in values] != [tuple(weight.shape) for weight in weights]:
            new.append(name)
            continue
        for weight, value in zip(weights, values, strict=True):
            weight.assign(value)
    if path is None:
        return
    _log.info("%s: %s taken", path, count_of(len(layers) - len(new), len(layers), "layer"))
    for line in _differences(source.network, target.network, new):
        _log.info("%s: %s", path, line)


def _differences(source: Network, network: Network, new: Sequence[str]) -> list[str]:
    """Return what the user should know about the layers ``new`` and about the others, one line each."""
    heads = {prefix: [name for name in new if name.startswith(prefix)] for prefix in (_CLASS_HEAD, _BOX_HEAD)}
    lines = []
    if heads[_CLASS_HEAD]:
        classes = f"{source.num_classes} → {network.num_classes} classes"
        reason = classes if source.num_classes != network.num_classes else "another number of anchors or levels"
        lines.append(f"new, initialized at random: {count(len(heads[_CLASS_HEAD]), 'class head')} ({reason})")
    elif source.labels != network.labels and set(source.labels) != set(network.labels):
        pairs = ", ".join(f"{old} → {name}" for old, name in zip(source.labels, network.labels, strict=True))
        lines.append(f"the class heads are taken by position: {pairs}")
    if heads[_BOX_HEAD]:
        number = count(len(heads[_BOX_HEAD]), "box head")
        lines.append(f"new, initialized at random: {number} (another number of anchors or levels)")
    others = [name for name in new if not name.startswith((_CLASS_HEAD, _BOX_HEAD))]
    if others:
        lines.append(f"new, initialized at random: {', '.join(others)}")
    shapes, own_shapes = ([(level.sizes, level.ratios) for level in each.levels] for each in (source, network))
    if shapes != own_shapes and len(heads[_BOX_HEAD]) < len(network.levels):
        lines.append("the anchors differ: its box heads are taken and have to adapt")
    return lines


def _reorder_classes(value: Any, labels: Sequence[str], new_labels: Sequence[str]) -> Any:
    """Return a class head's kernel or bias [..., a·(q+1)] with its classes in the order of ``new_labels``.

    It is returned unchanged if the names of the classes differ.
    """
    if set(labels) != set(new_labels):
        return value
    order = [0, *(1 + labels.index(label) for label in new_labels)]  # background is first
    return value.reshape(*value.shape[:-1], -1, len(order))[..., np.array(order)].reshape(value.shape)


def _weights_by_layer(model: TinySSD) -> dict[str, list[Any]]:
    """Return the weights of every layer by its path without the model's name, which differs between instances."""
    layers: dict[str, list[Any]] = {}
    for weight in model.weights:
        layers.setdefault(str(weight.path).partition("/")[2].rpartition("/")[0], []).append(weight)
    return layers
