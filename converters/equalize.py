"""Cross-layer equalisation: the same network, written so that int8 loses less of it.

Int8 gives a layer's output one scale for all its channels. A channel that never exceeds a tenth of the widest one's
range is then rounded ten times as coarsely as it need be. Since ReLU and max pooling commute with a positive factor,
a channel can be made wider where it is computed (in the batch normalisation's factor and offset) and its weights
smaller by as much where it is read: the network computes what it did, and its channels fill the common range better.
Going all the way would only move the trouble into the reading weights, so a channel takes a power of the factor that
would bring it to the full range, rounded to a power of two: such factors change no digit of a float, so that the
float network stays the same to the last bit.
Source: Nagel et al., "Data-Free Quantization through Weight Equalization and Bias Correction", 2019, section 4.1;
ranges measured on pictures instead of derived from weights, and shared between the two sides as in Xiao et al.,
"SmoothQuant", 2022, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from edge_ssd.training.model import TinySSD

__all__ = ["channel_factors", "equalized"]

_POWER = 0.5
_MOST = 4  # as a power of two
_BATCH = 16


def equalized(model: TinySSD, images: npt.NDArray[np.uint8], power: float = _POWER) -> TinySSD:
    """A copy of ``model`` whose channels use the range of their layer, measured on ``images`` [N, height, width, 3].

    In float it computes the same, to the last bit.
    """
    from edge_ssd.training.model import TinySSD

    copy = TinySSD(model.network, name=model.name)
    copy.set_weights(model.get_weights())
    ranges = _ranges(copy, images)
    for (norm, readers), widest in zip(_stages(copy), ranges, strict=True):
        factors = channel_factors(widest, power)
        norm.gamma.assign(norm.gamma * factors)
        norm.beta.assign(norm.beta * factors)
        for reader in readers:
            reader.kernel.assign(reader.kernel / factors[None, None, :, None])
    return copy


def channel_factors(widest: npt.NDArray[np.float32], power: float = _POWER) -> npt.NDArray[np.float32]:
    """By how much to widen each channel: 1, 2, 4, 8 or 16, given the greatest value of each [C]; a dead one stays."""
    alive = widest > 0
    exponents = np.zeros_like(widest)
    exponents[alive] = np.round(power * np.log2(widest.max(initial=0) / widest[alive]))
    factors: npt.NDArray[np.float32] = np.exp2(np.clip(exponents, 0, _MOST))
    return factors


def _convolutions(model: TinySSD) -> list[tuple[int, Any, Any]]:
    """(index of the level it leads to, convolution, its batch normalisation) in the order of computation."""
    found = []
    for level, block in enumerate(model.blocks[:-1]):
        parts = block.layers if level == 0 else [block]
        for part in parts:
            layers = {layer.name: layer for layer in part.layers}
            found += [(level, layers[f"conv_{i}"], layers[f"norm_{i}"]) for i in range(2)]
    return found


def _stages(model: TinySSD) -> Iterator[tuple[Any, list[Any]]]:
    """Each batch normalisation, and the convolutions that read its channels (through ReLU and pooling)."""
    chain = _convolutions(model)
    last = len(model.blocks) - 1
    for i, (level, _, norm) in enumerate(chain):
        following = chain[i + 1] if i + 1 < len(chain) else None
        readers = [] if following is None else [following[1]]
        if following is None or following[0] != level:
            levels = [level] if following is not None else [level, last]
            readers += [heads[at] for at in levels for heads in (model.cls_predictors, model.bbox_predictors)]
        yield norm, readers


def _ranges(model: TinySSD, images: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
    """The greatest value of each channel behind each batch normalisation and its ReLU, over all pictures."""
    import keras

    chain = _convolutions(model)
    widest: list[npt.NDArray[np.float32]] = []
    for start in range(0, len(images), _BATCH):
        features = model.scaling(images[start : start + _BATCH].astype(np.float32))
        for i, (_, convolution, norm) in enumerate(chain):
            features = keras.ops.relu(norm(convolution(features), training=False))
            found = keras.ops.convert_to_numpy(features).max(axis=(0, 1, 2))
            if start == 0:
                widest.append(found)
            else:
                widest[i] = np.maximum(widest[i], found)
            if i % 2:
                features = keras.ops.max_pool(features, 2, strides=2)
    return widest
