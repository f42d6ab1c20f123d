"""``edge-ssd data``: download, draw, inspect, convert, divide or merge datasets, or fit anchors to one."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_ssd.commands import data_anchors, data_convert, data_inspect, data_merge, data_split
from edge_ssd.console.text import print_text

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands of ``edge-ssd data``."""
    parser.description = (
        "Download, draw, inspect, convert, divide or merge datasets of labeled images, or fit anchors to one."
    )
    parser.epilog = (
        "examples:\n"
        "  edge-ssd data fetch bananas                        the book's dataset, to data/bananas\n"
        "  edge-ssd data make --to data/drawn                 1000 + 100 drawn images, no download\n"
        "  edge-ssd data inspect data/drawn --sheet sheet.png\n"
        "  edge-ssd data anchors data/drawn\n"
        "  edge-ssd data split photos                         lists train.txt and val.txt, by share of each class\n"
        "  edge-ssd data convert data/bananas bananas-yolo --to yolo\n"
        "  edge-ssd data merge monday tuesday all --to coco\n"
    )
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    _add_fetch(commands)
    _add_make(commands)
    data_inspect.add_to(commands)
    data_anchors.add_to(commands)
    data_convert.add_to(commands)
    data_split.add_to(commands)
    data_merge.add_to(commands)


def run(args: argparse.Namespace) -> int:
    """Run the selected subcommand and return its exit status."""
    subcommands = {
        "fetch": _fetch,
        "make": _make,
        "inspect": data_inspect.run,
        "anchors": data_anchors.run,
        "convert": data_convert.run,
        "split": data_split.run,
        "merge": data_merge.run,
    }
    return subcommands[args.data_command](args)


def _add_fetch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fetch = commands.add_parser(
        "fetch",
        help="download a public dataset",
        description="Download a dataset, verify its checksum and unpack it. An interrupted download is resumed.",
        epilog="example:\n  edge-ssd data fetch bananas --to data/bananas\n",
    )
    fetch.add_argument("set", choices=["bananas"], help="bananas: the book's banana-detection dataset")
    fetch.add_argument("--to", metavar="DIR", type=Path, default=Path("data/bananas"), help="default: %(default)s")


def _add_make(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    make = commands.add_parser(
        "make",
        help="draw a synthetic dataset of bananas (needs a checkout)",
        description="Draw bananas on drawn backgrounds, in the book's folders. The same seed draws the same images.",
        epilog="example:\n  edge-ssd data make --to data/drawn --train 1000 --val 100 --seed 0\n",
    )
    make.add_argument("--to", metavar="DIR", type=Path, default=Path("data/synthetic"), help="default: %(default)s")
    make.add_argument("--train", metavar="N", type=int, default=1000, help="training images (default: %(default)s)")
    make.add_argument("--val", metavar="N", type=int, default=100, help="validation images (default: %(default)s)")
    make.add_argument("--seed", metavar="S", type=int, default=0, help="random seed (default: %(default)s)")
    make.add_argument("--size", metavar="PIXELS", type=int, default=256, help="side of an image (default: %(default)s)")


def _fetch(args: argparse.Namespace) -> int:
    from edge_ssd.console.progress import Progress
    from edge_ssd.data.download.bananas import fetch_bananas

    with Progress("downloading bananas", "bytes") as progress:
        downloaded = fetch_bananas(args.to, progress=progress)
    print_text(f"{args.to}: {'fetched and verified' if downloaded else 'already there, nothing to do'}")
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
    with Progress("drawing", "images") as progress:
        drawn = make_synthetic(args.to, args.train, args.val, args.seed, args.size, progress)
    images = f"{args.train} + {args.val} images drawn"
    print_text(f"{args.to}: {images if drawn else 'already there, nothing to do'}")
    return 0
