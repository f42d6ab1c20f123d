"""GPTQ: round the weights to int8 so that the rounding errors cancel in the layer's output.

Weights are rounded one after the other, and each rounding error is compensated in the remaining weights, according to
the correlations of the layer's inputs on calibration images (the Hessian). The scales are those of the TFLite converter
(the maximum absolute weight of an output channel is 127), which therefore keeps the rounded weights unchanged.

Source: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2022,
based on Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon", 1993.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from converters.quantization.head_coding import copy_model
from converters.quantization.layers import layer_names

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["apply_gptq", "gptq_quantize"]

_QMAX = 127  # TFLite's int8 weights do not use −128
_BATCH = 8
# Images, and positions sampled from each of their feature maps: seven for each weight of the widest layer.
_MAX_IMAGES = 64
_SAMPLES_PER_MAP = 128
# Added to the Hessian's diagonal, as a share of its mean; bounds the compensation for inputs that hardly vary.
_DAMPING = 0.01
_BLOCK = 128

Floats = npt.NDArray[np.float64]


class _ConvLayer(NamedTuple):
    """A convolution and its batch norm, which a head does not have (None)."""

    name: str
    conv: Any
    norm: Any


def apply_gptq(model: TinySSD, images: npt.NDArray[np.uint8], keep: Collection[str] = ()) -> TinySSD:
    """Return a copy of ``model`` with its weights rounded to int8 steps, and with batch norm folded into them.

    The same input gives the same weights on the same type of processor.

    Args:
        images: uint8 [N, height, width, 3], calibration images.
        keep: names of the layers that are not rounded, see :func:`~converters.quantization.layers.layer_names`.
    """
    copy = copy_model(model)
    hessians = accumulate_hessians(model, images)
    for (layer, _), hessian in zip(iter_conv_inputs(copy, None), hessians, strict=True):
        kernel, bias = _fold_batch_norm(layer)
        if layer.name not in keep:
            kernel = gptq_quantize(kernel.reshape(-1, kernel.shape[-1]), hessian).reshape(kernel.shape)
        layer.conv.kernel.assign(kernel.astype(np.float32))
        layer.conv.bias.assign(bias.astype(np.float32))
        if layer.norm is not None:
            _reset_batch_norm(layer.norm)
    return copy


def gptq_quantize(weights: Floats, hessian: Floats) -> Floats:
    """Round weights to 255 steps per output channel, multiples of a scale: the largest absolute weight / 127.

    Args:
        weights: [K, channels], one row per input of the kernel window.
        hessian: [K, K], X^T X of the inputs X [positions, K].

    Returns:
        Rounded weights [K, channels] with a small squared error of X times the weights.
    """
    scales = np.abs(weights).max(axis=0) / _QMAX
    scales[scales == 0] = 1
    count = len(weights)
    damped = hessian + (_DAMPING * np.trace(hessian) / count + 1e-12) * np.eye(count)
    # Strongest inputs first, while the most weights remain to compensate their errors.
    order = np.argsort(-np.diag(damped), kind="stable")
    hinv_chol = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    remaining = weights[order]
    # The converter derives a channel's scale from its maximum, which must therefore stay exact.
    max_rows = np.abs(remaining).argmax(axis=0)
    pinned = np.take_along_axis(remaining, max_rows[None], axis=0)[0]
    quantized = np.empty_like(remaining)
    # In blocks: one large matrix product is many times faster than the same work in small ones.
    for start in range(0, count, _BLOCK):
        end = min(start + _BLOCK, count)
        errors = np.empty((end - start, remaining.shape[1]))
        for i in range(start, end):
            rounded = np.clip(np.round(remaining[i] / scales), -_QMAX, _QMAX) * scales
            quantized[i] = np.where(max_rows == i, pinned, rounded)
            errors[i - start] = (remaining[i] - quantized[i]) / hinv_chol[i, i]
            remaining[i + 1 : end] -= np.outer(hinv_chol[i, i + 1 : end], errors[i - start])
        remaining[end:] -= hinv_chol[start:end, end:].T @ errors
    result = np.empty_like(quantized)
    result[order] = quantized
    return result


def iter_conv_inputs(model: TinySSD, images: npt.NDArray[np.uint8] | None) -> Iterator[tuple[_ConvLayer, Any]]:
    """Yield each convolution in order of computation, and its input map [N, H, W, C] (None without ``images``)."""
    from keras import layers

    names = iter(layer_names(model.network))
    features = None if images is None else model.scaling(images.astype(np.float32))
    maps = []
    for level, block in enumerate(model.blocks):
        # The first level is a sequence of blocks, the last one a single layer.
        for inner in block.layers if level == 0 else [block]:
            for part in getattr(inner, "layers", [inner]):
                if isinstance(part, layers.Conv2D):
                    norm = inner.get_layer(part.name.replace("conv", "norm"))
                    yield _ConvLayer(next(names), part, norm), features
                if features is not None:
                    features = part(features, training=False)
        if not model.top_down:
            yield from _iter_heads(model, level, features)
        maps.append(features)
    if model.top_down:
        for level in reversed(range(len(model.top_down))):
            yield _ConvLayer(next(names), model.top_down[level], None), maps[level + 1]
            if images is not None:
                maps[level] = model.add_coarser(level, maps[level], maps[level + 1])
        for level, features in enumerate(maps):
            yield from _iter_heads(model, level, features)


def _iter_heads(model: TinySSD, level: int, features: Any) -> Iterator[tuple[_ConvLayer, Any]]:
    for kind, heads in (("classes", model.cls_predictors), ("boxes", model.bbox_predictors)):
        yield _ConvLayer(f"{kind}_{level}", heads[level], None), features


def accumulate_hessians(model: TinySSD, images: npt.NDArray[np.uint8]) -> list[Floats]:
    """Return the Hessian X^T X [K, K] of each convolution, from inputs X [positions, K] sampled on ``images``."""
    rng = np.random.default_rng(0)
    hessians: list[Floats] = []
    images = images[:: -(-len(images) // _MAX_IMAGES)]
    for start in range(0, len(images), _BATCH):
        cached, hessian = None, None
        for i, (layer, features) in enumerate(iter_conv_inputs(model, images[start : start + _BATCH])):
            window = (layer.conv.kernel_size[0], layer.conv.strides[0])
            # The heads of a level and the block behind it share one input.
            if hessian is None or cached is None or cached[0] is not features or cached[1] != window:
                rows = _sample_patches(np.asarray(features), *window, rng)
                cached, hessian = (features, window), (rows.T @ rows).astype(np.float64)
            if start == 0:
                hessians.append(hessian.copy())
            else:
                hessians[i] += hessian
    return hessians


def _sample_patches(
    features: npt.NDArray[np.float32], size: int, stride: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return kernel windows at random positions of each map [N, H, W, C]: rows of size²·C in the kernel's order."""
    padding, output_size = [], []
    for length in features.shape[1:3]:
        count = -(-length // stride)
        missing = max((count - 1) * stride + size - length, 0)  # padding "same" puts the odd one at the end
        padding.append((missing // 2, missing - missing // 2))
        output_size.append(count)
    padded = np.pad(features, ((0, 0), *padding, (0, 0)))
    rows = []
    for values in padded:
        y, x = np.divmod(rng.permutation(output_size[0] * output_size[1])[:_SAMPLES_PER_MAP], output_size[1])
        window = [values[y * stride + i, x * stride + j] for i in range(size) for j in range(size)]
        rows.append(np.concatenate(window, axis=1))
    return np.concatenate(rows)


def _fold_batch_norm(layer: _ConvLayer) -> tuple[Floats, Floats]:
    """Return kernel [size, size, C, D] and bias [D] that include the batch norm."""
    kernel, bias = (np.asarray(weight, np.float64) for weight in layer.conv.get_weights())
    if layer.norm is None:
        return kernel, bias
    gamma, beta, mean, variance = (np.asarray(weight.numpy(), np.float64) for weight in _norm_weights(layer.norm))
    factor = gamma / np.sqrt(variance + layer.norm.epsilon)
    return kernel * factor, (bias - mean) * factor + beta


def _reset_batch_norm(norm: Any) -> None:
    for weight, value in zip(_norm_weights(norm), (np.sqrt(1 + norm.epsilon), 0, 0, 1), strict=True):
        weight.assign(np.full(weight.shape, value, np.float32))


def _norm_weights(norm: Any) -> Sequence[Any]:
    return norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance
