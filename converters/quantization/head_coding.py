"""Copies of a model with recoded heads that give the same boxes and scores.

Recoding makes better use of the 256 values of an int8 head: width and height get the unit of x and y, and class logits
become relative to the background logit, which replaces two rounding errors in a score by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edge_ssd.coding import BoxCoding

if TYPE_CHECKING:
    from edge_ssd.network import Network
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["copy_model", "equalize_box_scales", "subtract_background_logit", "with_box_coding"]

Floats = npt.NDArray[np.float64]


def copy_model(model: TinySSD, network: Network | None = None) -> TinySSD:
    """Return a copy of ``model``, described by ``network`` or, if None, by ``model.network``."""
    from edge_ssd.training.model.tiny_ssd import TinySSD

    copy = TinySSD(model.network if network is None else network, name=model.name)
    copy.set_weights(model.get_weights())
    copy.held_out = model.held_out
    return copy


def equalize_box_scales(model: TinySSD) -> TinySSD:
    """Return ``model``, or a copy of it, with the same scale for box sizes as for box centers.

    All offsets of a head share one int8 range. With SSD's scales, 10 and 5, a center that is one anchor width away has
    the offset 10, and twice the anchor's size has 3.5: sizes use only half of the values and lose precision.
    """
    coding = model.network.coding
    return with_box_coding(model, replace(coding, wh_scale=max(coding.xy_scale, coding.wh_scale)))


def with_box_coding(model: TinySSD, coding: BoxCoding) -> TinySSD:
    """Return ``model`` if its box coding is ``coding``, else a recoded copy that gives the same boxes and scores."""
    current = model.network.coding
    if coding == current:
        return model
    copy = copy_model(model, replace(model.network, coding=coding))
    xy, wh = coding.xy_scale / current.xy_scale, coding.wh_scale / current.wh_scale
    _update_weights(copy.bbox_predictors, lambda values: values * np.tile([xy, xy, wh, wh], values.shape[-1] // 4))
    return copy


def subtract_background_logit(model: TinySSD) -> TinySSD:
    """Return a copy of ``model`` with the same scores and a background logit of 0 for every anchor."""

    def subtract(values: Floats) -> Floats:
        by_class = values.reshape(*values.shape[:-1], -1, model.network.num_classes + 1)
        relative: Floats = by_class - by_class[..., :1]
        return relative.reshape(values.shape)

    copy = copy_model(model)
    _update_weights(copy.cls_predictors, subtract)
    return copy


def _update_weights(heads: Iterable[Any], update: Callable[[Floats], Floats]) -> None:
    """Apply ``update`` to kernel and bias of each head, in float64; the last axis is that of output channels."""
    for head in heads:
        for weight in (head.kernel, head.bias):
            weight.assign(update(weight.numpy().astype(np.float64)).astype(np.float32))
