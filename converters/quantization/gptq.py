"""Rounding weights to int8 so that their errors cancel in what the layer computes.

Each weight rounded for itself leaves a layer with errors that add up at random. Here they are rounded one after the
other, and what rounding one of them takes away or adds is made good by those that are still to come: by how much
each must move follows from how the layer's inputs, seen in the calibration pictures, go together. The steps are the
converter's own (the greatest weight of an output channel is 127), so what it is given it keeps as it is.
Source: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022,
which goes back to Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon", 1993.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from converters.quantization.layers import layer_names

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["apply_gptq", "gptq_quantize"]

_STEPS = 127  # on each side of 0: TFLite's int8 weights do not use −128
_BATCH = 8
# So many pictures, and so many places of each feature map in each: seven for each weight of the widest layer.
_PICTURES = 64
_SAMPLES_PER_MAP = 128
# Of the mean square of the inputs; keeps what the pictures say nothing about from being made good for.
_DAMPING = 0.01
_BLOCK = 128

Floats = npt.NDArray[np.float64]


class _Layer(NamedTuple):
    """A convolution and the batch normalisation behind it, None behind a head."""

    name: str
    convolution: Any
    norm: Any


def apply_gptq(model: TinySSD, images: npt.NDArray[np.uint8], keep: Collection[str] = ()) -> TinySSD:
    """A copy of ``model`` whose weights lie on the steps of int8, fitted on ``images`` [N, height, width, 3].

    Batch normalisation is in the weights, as it will be in the file, and does nothing in the copy. Layers named in
    ``keep`` (:func:`~converters.quantization.layers.layer_names`) are not rounded. The same input gives the same
    weights on one kind of processor.
    """
    from edge_ssd.training.model.tiny_ssd import TinySSD

    copy = TinySSD(model.network, name=model.name)
    copy.set_weights(model.get_weights())
    for layer, together in zip(_layers(copy), accumulate_hessians(model, images), strict=True):
        kernel, bias = _folded(layer)
        if layer.name not in keep:
            kernel = gptq_quantize(kernel.reshape(-1, kernel.shape[-1]), together).reshape(kernel.shape)
        layer.convolution.kernel.assign(kernel.astype(np.float32))
        layer.convolution.bias.assign(bias.astype(np.float32))
        if layer.norm is not None:
            _switch_off(layer.norm)
    return copy


def gptq_quantize(weights: Floats, together: Floats) -> Floats:
    """Round ``weights`` [K, channels] to 255 steps a channel.

    Args:
        together: [K, K], the inputs' products with each other, added up over many places.

    Returns:
        multiples of the channels' steps that keep the sum of inputs times weights close to what it was.
    """
    steps = np.abs(weights).max(axis=0) / _STEPS
    steps[steps == 0] = 1
    count = len(weights)
    damped = together + (_DAMPING * np.trace(together) / count + 1e-12) * np.eye(count)
    # The inputs that carry most come first, while the most weights are left to make good what rounding them does.
    order = np.argsort(-np.diag(damped), kind="stable")
    spread = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    left = weights[order]
    # The converter takes a channel's steps from its greatest weight, which therefore stays what it is.
    greatest = np.abs(left).argmax(axis=0)
    stays = np.take_along_axis(left, greatest[None], axis=0)[0]
    done = np.empty_like(left)
    # In blocks, since one large product is many times faster than as many small ones.
    for start in range(0, count, _BLOCK):
        end = min(start + _BLOCK, count)
        errors = np.empty((end - start, left.shape[1]))
        for i in range(start, end):
            nearest = np.clip(np.round(left[i] / steps), -_STEPS, _STEPS) * steps
            done[i] = np.where(greatest == i, stays, nearest)
            errors[i - start] = (left[i] - done[i]) / spread[i, i]
            left[i + 1 : end] -= np.outer(spread[i, i + 1 : end], errors[i - start])
        left[end:] -= spread[start:end, end:].T @ errors
    result = np.empty_like(done)
    result[order] = done
    return result


def _layers(model: TinySSD) -> list[_Layer]:
    """All convolutions, in the order of :func:`iter_conv_inputs`."""
    return [layer for layer, _ in iter_conv_inputs(model, None)]


def iter_conv_inputs(model: TinySSD, images: npt.NDArray[np.uint8] | None) -> Iterator[tuple[_Layer, Any]]:
    """Each convolution and the feature map that it reads; without ``images`` no map."""
    from keras import layers

    names = iter(layer_names(model.network))
    features = None if images is None else model.scaling(images.astype(np.float32))

    def run(part: Any) -> None:
        nonlocal features
        if features is not None:
            features = part(features, training=False)

    for level, block in enumerate(model.blocks):
        # The base net is a sequence of blocks; the last level is one layer.
        for inner in block.layers if level == 0 else [block]:
            for part in getattr(inner, "layers", [inner]):
                if isinstance(part, layers.Conv2D):
                    norm = inner.get_layer(part.name.replace("conv", "norm"))
                    yield _Layer(next(names), part, norm), features
                run(part)
        for kind, heads in (("classes", model.cls_predictors), ("boxes", model.bbox_predictors)):
            yield _Layer(f"{kind}_{level}", heads[level], None), features


def accumulate_hessians(model: TinySSD, images: npt.NDArray[np.uint8]) -> list[Floats]:
    """For each convolution, [K, K]: how the values go together that its kernel sees."""
    rng = np.random.default_rng(0)
    sums: list[Floats] = []
    images = images[:: -(-len(images) // _PICTURES)]
    for start in range(0, len(images), _BATCH):
        read, product = None, None
        for i, (layer, features) in enumerate(iter_conv_inputs(model, images[start : start + _BATCH])):
            window = (layer.convolution.kernel_size[0], layer.convolution.strides[0])
            # Several layers read the same map in the same manner: a level's heads, and the block behind it.
            if product is None or read is None or read[0] is not features or read[1] != window:
                rows = _patches(np.asarray(features), *window, rng)
                read, product = (features, window), (rows.T @ rows).astype(np.float64)
            if start == 0:
                sums.append(product.copy())
            else:
                sums[i] += product
    return sums


def _patches(
    features: npt.NDArray[np.float32], size: int, stride: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """What a kernel sees at some places of each map [N, H, W, C]: rows of size²·C in the order of its weights."""
    padding, places = [], []
    for length in features.shape[1:3]:
        count = -(-length // stride)
        missing = max((count - 1) * stride + size - length, 0)  # TensorFlow's "same": the odd one comes last
        padding.append((missing // 2, missing - missing // 2))
        places.append(count)
    padded = np.pad(features, ((0, 0), *padding, (0, 0)))
    rows = []
    for values in padded:
        y, x = np.divmod(rng.permutation(places[0] * places[1])[:_SAMPLES_PER_MAP], places[1])
        window = [values[y * stride + i, x * stride + j] for i in range(size) for j in range(size)]
        rows.append(np.concatenate(window, axis=1))
    return np.concatenate(rows)


def _folded(layer: _Layer) -> tuple[Floats, Floats]:
    """Kernel [size, size, C, D] and bias [D] with the batch normalisation in them."""
    kernel, bias = (np.asarray(weight, np.float64) for weight in layer.convolution.get_weights())
    if layer.norm is None:
        return kernel, bias
    gamma, beta, mean, variance = _norm_weights(layer.norm)
    factor = gamma / np.sqrt(variance + layer.norm.epsilon)
    return kernel * factor, (bias - mean) * factor + beta


def _norm_weights(norm: Any) -> Sequence[Floats]:
    weights = (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    return [np.asarray(weight.numpy(), np.float64) for weight in weights]


def _switch_off(norm: Any) -> None:
    norm.gamma.assign(np.full(norm.gamma.shape, np.sqrt(1 + norm.epsilon), np.float32))
    norm.beta.assign(np.zeros(norm.beta.shape, np.float32))
    norm.moving_mean.assign(np.zeros(norm.moving_mean.shape, np.float32))
    norm.moving_variance.assign(np.ones(norm.moving_variance.shape, np.float32))
