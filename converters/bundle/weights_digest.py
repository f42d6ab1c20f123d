"""Digest of a float model's weights, by which a bundle names the model that it was made from."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from edge_ssd.runtime.bundle import Bundle

if TYPE_CHECKING:
    from edge_ssd.training.model.tiny_ssd import TinySSD

__all__ = ["is_made_from", "weights_sha256"]


def weights_sha256(model: TinySSD) -> str:
    """Return the hex digest of the shapes and values of all weights, in the model's order, as little-endian float32."""
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(f"{weights.shape}".encode())
        digest.update(np.ascontiguousarray(weights, "<f4").tobytes())
    return digest.hexdigest()


def is_made_from(bundle: Bundle, model: TinySSD) -> bool | None:
    """Return whether ``bundle`` was converted from ``model``, whose box coding is the bundle's.

    None if the bundle does not state it, as those of earlier versions.
    """
    stated = bundle.details.sha256.get("weights")
    return None if stated is None else stated == weights_sha256(model)
