"""The options for a network's input, the same on every command that has them."""

from __future__ import annotations

import argparse

__all__ = ["add_input_options", "input_size"]


def add_input_options(parser: argparse._ActionsContainer) -> None:
    """Declare ``--input-size`` and ``--resize``."""
    parser.add_argument("--input-size", type=input_size, default=(256, 256), metavar="HxW", help="default 256x256")
    parser.add_argument("--resize", choices=("stretch", "letterbox"), default="stretch", help="default stretch")


def input_size(text: str) -> tuple[int, int]:
    """Parse (height, width) from a text such as "192x320"; raise ArgumentTypeError if it is invalid."""
    height, _, width = text.lower().partition("x")
    try:
        return int(height), int(width)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 256x256, got {text!r}") from None
