"""The convolutions of a network under names that a user can choose them by."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

from edge_ssd.errors import SettingError
from edge_ssd.network import Network

__all__ = ["DEFAULT_KEEP", "choose_layers", "layer_names"]

DEFAULT_KEEP = ("classes_*", "boxes_*")
"""Kept out of int8 unless the user chooses: the heads, whose rounding nothing behind them can make good."""


def layer_names(network: Network) -> tuple[str, ...]:
    """The body's convolutions in the order of computation, then the heads, as the outputs are called."""
    base = [f"base_net/block_{i}/conv_{j}" for i in range(len(network.base_channels)) for j in range(2)]
    blocks = [f"down_sample_{i}/conv_{j}" for i in range(1, len(network.block_channels) + 1) for j in range(2)]
    heads = [f"{kind}_{i}" for i in range(len(network.levels)) for kind in ("classes", "boxes")]
    return (*base, *blocks, *heads)


def choose_layers(network: Network, patterns: Sequence[str]) -> tuple[str, ...]:
    """The layers whose names match one of ``patterns`` (``*`` and ``?`` as in file names).

    Raises :class:`SettingError` for a pattern that matches none.
    """
    names = layer_names(network)
    chosen: set[str] = set()
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            near = difflib.get_close_matches(pattern, names, n=3) or names[-4:]
            raise SettingError(f"no layer is called {pattern!r}; there are, for example, {', '.join(near)}")
        chosen.update(matching)
    return tuple(name for name in names if name in chosen)
