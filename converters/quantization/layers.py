"""Names of a network's convolutions, by which a user selects layers."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

from edge_ssd.errors import SettingError
from edge_ssd.network import Network

__all__ = ["DEFAULT_KEEP", "choose_layers", "layer_names"]

DEFAULT_KEEP = ("classes_*", "boxes_*")
"""Layers kept out of int8 by default: the heads, whose rounding errors no later layer compensates."""


def layer_names(network: Network) -> tuple[str, ...]:
    """Return the names of the convolutions: first all but the heads, in order of computation, then the heads."""
    base = [f"base_net/block_{i}/conv_{j}" for i in range(len(network.base_channels)) for j in range(2)]
    blocks = [f"down_sample_{i}/conv_{j}" for i in range(1, len(network.block_channels) + 1) for j in range(2)]
    top_down = [f"top_down_{i}" for i in reversed(range(len(network.levels) - 2)) if network.top_down]
    heads = [f"{kind}_{i}" for i in range(len(network.levels)) for kind in ("classes", "boxes")]
    return (*base, *blocks, *top_down, *heads)


def choose_layers(network: Network, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the :func:`layer_names` that match a pattern (``*`` and ``?`` as in file names), in their order.

    Raises:
        SettingError: a pattern matches no layer.
    """
    names = layer_names(network)
    chosen: set[str] = set()
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            examples = difflib.get_close_matches(pattern, names, n=3) or names[-4:]
            raise SettingError(f"no layer is called {pattern!r}; there are, for example, {', '.join(examples)}")
        chosen.update(matching)
    return tuple(name for name in names if name in chosen)
