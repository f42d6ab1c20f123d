"""``edge-ssd data``: fetch the book's banana set, draw a synthetic set, inspect any set, fit anchors to one."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_ssd.commands import data_anchors as anchors_command
from edge_ssd.commands import data_inspect as inspect_command

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Declare the subcommands; returns the parser of ``inspect``, for :mod:`edge_ssd.training` to add to."""
    parser.description = "Fetch, draw or inspect a data set of labelled pictures, or fit anchors to it."
    parser.epilog = (
        "examples:\n"
        "  edge-ssd data fetch bananas                        the book's set, to data/bananas\n"
        "  edge-ssd data make --to data/drawn                 1000 + 100 drawn pictures, no download\n"
        "  edge-ssd data inspect data/drawn --sheet sheet.png\n"
        "  edge-ssd data anchors data/drawn\n"
    )
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    _add_fetch(commands)
    _add_make(commands)
    inspect = inspect_command.add_to(commands)
    anchors_command.add_to(commands)
    return inspect


def run(args: argparse.Namespace) -> int:
    """Run the subcommand that was asked for; returns 0."""
    if args.data_command == "fetch":
        return _fetch(args)
    if args.data_command == "make":
        return _make(args)
    if args.data_command == "anchors":
        return anchors_command.run(args)
    return inspect_command.run(args)


def _add_fetch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fetch = commands.add_parser(
        "fetch",
        help="download a public data set",
        description="Download a data set, verify its checksum and unpack it. A download that broke off goes on.",
        epilog="example:\n  edge-ssd data fetch bananas --to data/bananas\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fetch.add_argument("set", choices=["bananas"], help="bananas: the book's banana-detection set")
    fetch.add_argument("--to", metavar="DIR", type=Path, default=Path("data/bananas"), help="default: %(default)s")


def _add_make(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    make = commands.add_parser(
        "make",
        help="draw a synthetic set of bananas (needs a checkout)",
        description="Draw bananas on drawn backgrounds, in the book's folders. The same seed draws the same set.",
        epilog="example:\n  edge-ssd data make --to data/drawn --train 1000 --val 100 --seed 0\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    make.add_argument("--to", metavar="DIR", type=Path, default=Path("data/synthetic"), help="default: %(default)s")
    make.add_argument("--train", metavar="N", type=int, default=1000, help="training pictures (default: %(default)s)")
    make.add_argument("--val", metavar="N", type=int, default=100, help="validation pictures (default: %(default)s)")
    make.add_argument("--seed", metavar="S", type=int, default=0, help="of every random choice (default: %(default)s)")
    make.add_argument("--size", metavar="PIXELS", type=int, default=256, help="of a side (default: %(default)s)")


def _fetch(args: argparse.Namespace) -> int:
    from edge_ssd.console.progress import Progress
    from edge_ssd.data.download.bananas import fetch_bananas

    with Progress("fetching bananas", "bytes") as progress:
        fetched = fetch_bananas(args.to, progress=progress)
    print(f"{fetched.path}: {'fetched and verified' if fetched.downloaded else 'already there, nothing to do'}")
    return 0


def _make(args: argparse.Namespace) -> int:
    from edge_ssd.console.progress import Progress
    from edge_ssd.errors import SettingError

    try:
        from edge_ssd.data.synthetic.generate import make_synthetic
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("edge_ssd.data.synthetic"):
            raise
        # pyproject.toml leaves this package out of the wheel.
        raise SettingError(
            "data make needs a checkout of the repository, installed with: pip install -e '.[train]'; "
            "or download a dataset with: edge-ssd data fetch bananas"
        ) from None
    with Progress("drawing", "pictures") as progress:
        made = make_synthetic(args.to, args.train, args.val, args.seed, args.size, progress)
    drawn = f"{args.train} + {args.val} pictures drawn" if made.drawn else "already there, nothing to do"
    print(f"{made.path}: {drawn}")
    return 0
