"""Initialization of a network with the weights of another one: what is taken, and what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_ssd.console.counts import count, count_of
from edge_ssd.network import BOOK_RATIOS, BOOK_SIZES, Network
from edge_ssd.training.model.tiny_ssd import TinySSD, load_tiny_ssd, weights_by_layer
from edge_ssd.training.trunk import check_trunk

__all__ = ["CLASS_HEAD", "InitialWeights", "copy_weights", "load_initial_weights"]

CLASS_HEAD, _BOX_HEAD = "classes_", "boxes_"
"""Beginnings of the paths of the heads' layers."""
_TOP_DOWN = "top_down_"

_BOOK_SHAPES = [(sizes, BOOK_RATIOS) for sizes in BOOK_SIZES]


@dataclass(frozen=True)
class InitialWeights:
    """Weights of a trained network.

    Attributes:
        source: what the log calls them, such as the path of their file.
        network: the network that they belong to.
        layers: path of a layer (see :func:`~edge_ssd.training.model.tiny_ssd.weights_by_layer`) → its weights in the
            order of Keras.
    """

    source: str
    network: Network
    layers: Mapping[str, Sequence[npt.NDArray[Any]]]

    @classmethod
    def of(cls, model: TinySSD, source: str) -> InitialWeights:
        """Return the present weights of a model."""
        layers = {name: [weight.numpy() for weight in weights] for name, weights in weights_by_layer(model).items()}
        return cls(source, model.network, layers)


def load_initial_weights(path: Path, network: Network) -> InitialWeights:
    """Read a model whose weights shall initialize ``network``; raise ModelError if its trunk is another one."""
    model = load_tiny_ssd(path)
    check_trunk(path, model.network, network)
    return InitialWeights.of(model, str(path))


def copy_weights(initial: InitialWeights, target: TinySSD) -> list[str]:
    """Copy the weights of all layers that both networks have; return what is taken and what is new, one line each.

    Class heads are copied by the names of the classes if both networks have the same ones, else by position. They are
    new if the number of classes differs, and all heads of a level if its number of anchors does. All layers are new
    from the first one of the trunk on that both networks have with other channels: they would get other features than
    they were trained on.
    """
    layers = weights_by_layer(target)  # from the input to the heads
    new: list[str] = []
    misfit: str | None = None
    for name, weights in layers.items():
        values = initial.layers.get(name, [])
        if name.startswith(CLASS_HEAD):
            values = [_reorder_classes(value, initial.network.labels, target.network.labels) for value in values]
        if misfit or [value.shape for value in values] != [tuple(weight.shape) for weight in weights]:
            new.append(name)
            if values and not name.startswith((CLASS_HEAD, _BOX_HEAD)):
                misfit = misfit or name
            continue
        for weight, value in zip(weights, values, strict=True):
            weight.assign(value)
    taken = f"{count_of(len(layers) - len(new), len(layers), 'layer')} taken"
    if misfit:
        return [taken, f"new, initialized at random: all layers from {misfit} on, which has other channels"]
    return [taken, *_differences(initial, target.network, new)]


def _differences(initial: InitialWeights, network: Network, new: Sequence[str]) -> list[str]:
    """Return what the user should know about the layers ``new`` and about the others, one line each."""
    source = initial.network
    heads = {prefix: [name for name in new if name.startswith(prefix)] for prefix in (CLASS_HEAD, _BOX_HEAD)}
    lines = []
    if not any(name.startswith(CLASS_HEAD) for name in initial.layers):
        lines.append(f"new, initialized at random: {count(len(heads[CLASS_HEAD]), 'class head')}")
    elif heads[CLASS_HEAD]:
        classes = f"{source.num_classes} → {network.num_classes} classes"
        reason = classes if source.num_classes != network.num_classes else "another number of anchors or levels"
        lines.append(f"new, initialized at random: {count(len(heads[CLASS_HEAD]), 'class head')} ({reason})")
    elif source.labels != network.labels and set(source.labels) != set(network.labels):
        pairs = ", ".join(f"{old} → {name}" for old, name in zip(source.labels, network.labels, strict=True))
        lines.append(f"the class heads are taken by position: {pairs}")
    if heads[_BOX_HEAD]:
        number = count(len(heads[_BOX_HEAD]), "box head")
        lines.append(f"new, initialized at random: {number} (another number of anchors or levels)")
    top_down = [name for name in new if name.startswith(_TOP_DOWN)]
    if top_down:
        lines.append(f"new, initialized with zeros: {', '.join(top_down)}")
    if source.top_down and not network.top_down:
        lines.append("its top-down path is left out, and its heads have to adapt")
    others = [name for name in new if not name.startswith((CLASS_HEAD, _BOX_HEAD, _TOP_DOWN))]
    if others:
        lines.append(f"new, initialized at random: {', '.join(others)}")
    shapes, own_shapes = ([(level.sizes, level.ratios) for level in each.levels] for each in (source, network))
    if shapes != own_shapes and len(heads[_BOX_HEAD]) < len(network.levels):
        keep = "; --anchors book keeps its anchors" if shapes == _BOOK_SHAPES and not heads[CLASS_HEAD] else ""
        lines.append(f"the anchors differ: its box heads are taken and have to adapt{keep}")
    return lines


def _reorder_classes(value: Any, labels: Sequence[str], new_labels: Sequence[str]) -> Any:
    """Return a class head's kernel or bias [..., a·(q+1)] with its classes in the order of ``new_labels``.

    It is returned unchanged if the names of the classes differ.
    """
    if set(labels) != set(new_labels):
        return value
    order = [0, *(1 + labels.index(label) for label in new_labels)]  # background is first
    return value.reshape(*value.shape[:-1], -1, len(order))[..., np.array(order)].reshape(value.shape)
