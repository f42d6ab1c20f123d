"""Command-line options of the network: a name, and options that override it."""

from __future__ import annotations

import argparse
from typing import Any

from edge_ssd.commands.recipe_options import option_names
from edge_ssd.network import NETWORKS

__all__ = ["add_input_options", "add_network_options", "given_network", "network_table"]

_OPTIONS = ("input_size", "resize", "width", "base_channels", "block_channels", "down_sampling", "top_down")


def add_input_options(parser: argparse._ActionsContainer) -> None:
    """Declare ``--input-size`` and ``--resize``."""
    parser.add_argument("--input-size", type=_input_size, default=(256, 256), metavar="HxW", help="default 256x256")
    parser.add_argument("--resize", choices=("stretch", "letterbox"), default="stretch", help="default stretch")


def add_network_options(parser: argparse.ArgumentParser, group: argparse._ArgumentGroup) -> None:
    """Declare ``--network``, and in ``group`` of ``parser`` the options that override it; None by default."""
    parser.add_argument("--network", choices=tuple(NETWORKS), help="network to train (default book)")
    add_input_options(group)
    group.add_argument("--width", type=float, metavar="FACTOR", help="channel multiplier, default 1")
    group.add_argument(
        "--base-channels",
        type=_channels,
        metavar="N,…",
        help="channels of the blocks up to the finest level (default 16,32,64)",
    )
    group.add_argument(
        "--block-channels",
        type=_channels,
        metavar="N,…",
        help="channels of the blocks of the further levels, one a level (default 128,128,128)",
    )
    group.add_argument(
        "--down-sampling",
        choices=("pool", "stride"),
        help="halve feature maps by max pooling at the end of a block, or by a stride at its start (default pool)",
    )
    group.add_argument(
        "--top-down",
        action="store_true",
        help="add the up-sampled features of the next coarser level to those that the heads read",
    )
    parser.set_defaults(**dict.fromkeys(_OPTIONS))


def given_network(args: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of :func:`~edge_ssd.network.tiny_ssd` that are set on the command line, by name."""
    return {name: getattr(args, name) for name in _OPTIONS if getattr(args, name) is not None}


def network_table() -> str:
    """Return the options of each named network, one line each."""
    lines = ["Networks, the slowest first; other options override theirs."]
    for name, options in NETWORKS.items():
        given = (f"{option_names([option])} {_text(option, value)}" for option, value in options.items())
        lines.append(f"  {name:7}{' '.join(given) or 'as in the book'}")
    return "\n".join(lines)


def _input_size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    try:
        return int(height), int(width)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 256x256, got {text!r}") from None


def _text(option: str, value: object) -> str:
    """Format a value as the command line takes it: 256x256 for a size, 16,32 for channels."""
    joint = "x" if option == "input_size" else ","
    return joint.join(map(str, value)) if isinstance(value, tuple) else str(value)


def _channels(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 16,32,64, got {text!r}") from None
