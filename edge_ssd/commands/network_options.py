"""The network as options of a command line: a name, and what is to differ from what the name says."""

from __future__ import annotations

import argparse
from typing import Any

from edge_ssd.commands.input_options import add_input_options
from edge_ssd.commands.recipe_options import option_names
from edge_ssd.network import NETWORKS

__all__ = ["add_network_options", "given_network", "network_table"]

_OPTIONS = (
    "input_size",
    "resize",
    "width",
    "base_channels",
    "block_channels",
    "down_sampling",
)


def add_network_options(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> None:
    """Declare ``--network`` and the options that override it; none of them has a default of its own."""
    group.add_argument("--network", choices=tuple(NETWORKS), help="which of these to train (default book)")
    add_input_options(group)
    group.add_argument("--width", type=float, metavar="FACTOR", help="channel multiplier, default 1")
    group.add_argument(
        "--base-channels",
        type=_channels,
        metavar="N,…",
        help="of each block up to the finest level, the stem first (default 16,32,64)",
    )
    group.add_argument(
        "--block-channels",
        type=_channels,
        metavar="N,…",
        help="of each block after it: a block more is a level more (default 128,128,128)",
    )
    group.add_argument(
        "--down-sampling",
        choices=("pool", "stride"),
        help="halve maps at the end of a block by max pooling, or at its beginning by a stride (default pool)",
    )
    parser.set_defaults(**dict.fromkeys(_OPTIONS))


def given_network(args: argparse.Namespace) -> dict[str, Any]:
    """The options of :func:`~edge_ssd.network.tiny_ssd` that the command line gives, by name."""
    return {name: getattr(args, name) for name in _OPTIONS if getattr(args, name) is not None}


def network_table() -> str:
    """What each name stands for, a line each."""
    lines = ["The slowest first; an option that is given overrides what the name says."]
    for name, options in NETWORKS.items():
        given = (f"{option_names([option])} {_text(option, value)}" for option, value in options.items())
        lines.append(f"  {name:7}{' '.join(given) or 'as in the book'}")
    return "\n".join(lines)


def _text(option: str, value: object) -> str:
    """A value as the command line takes it: 256x256 for a size, 16,32 for channels."""
    joint = "x" if option == "input_size" else ","
    return joint.join(map(str, value)) if isinstance(value, tuple) else str(value)


def _channels(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 16,32,64, got {text!r}") from None
