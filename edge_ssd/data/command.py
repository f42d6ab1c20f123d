"""``edge-ssd data``: fetch the book's banana set, draw a synthetic set, inspect any set."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    parser.description = "Fetch, draw or inspect a data set of labelled pictures."
    parser.epilog = (
        "examples:\n"
        "  edge-ssd data fetch bananas                        the book's set, to data/bananas\n"
        "  edge-ssd data make --to data/drawn                 1000 + 100 drawn pictures, no download\n"
        "  edge-ssd data inspect data/drawn --sheet sheet.png\n"
    )
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")
    _add_fetch(commands)
    _add_make(commands)
    _add_inspect(commands)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand that was asked for; returns 0."""
    if args.data_command == "fetch":
        return _fetch(args)
    if args.data_command == "make":
        return _make(args)
    return _inspect(args)


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
        help="draw a synthetic set of bananas",
        description="Draw bananas on drawn backgrounds, in the book's folders. The same seed draws the same set.",
        epilog="example:\n  edge-ssd data make --to data/drawn --train 1000 --val 100 --seed 0\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    make.add_argument("--to", metavar="DIR", type=Path, default=Path("data/synthetic"), help="default: %(default)s")
    make.add_argument("--train", metavar="N", type=int, default=1000, help="training pictures (default: %(default)s)")
    make.add_argument("--val", metavar="N", type=int, default=100, help="validation pictures (default: %(default)s)")
    make.add_argument("--seed", metavar="S", type=int, default=0, help="of every random choice (default: %(default)s)")
    make.add_argument("--size", metavar="PIXELS", type=int, default=256, help="of a side (default: %(default)s)")


def _add_inspect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    inspect = commands.add_parser(
        "inspect",
        help="count what a data set holds and list its faults",
        description="Count pictures and boxes by class, and list every fault with its file. The format is recognised.",
        epilog=(
            "examples:\n"
            "  edge-ssd data inspect data/bananas\n"
            "  edge-ssd data inspect data/bananas --split val --sheet sheet.png\n"
            "  edge-ssd data inspect data/bananas --decode --json\n"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inspect.add_argument("folder", metavar="DIR", type=Path, help="a data set in any known format")
    inspect.add_argument("--split", choices=["train", "val", "test"], help="this split only (default: each by itself)")
    inspect.add_argument("--decode", action="store_true", help="also decode every picture, not just its header")
    inspect.add_argument("--strict", action="store_true", help="stop at the first fault, with exit status 2")
    inspect.add_argument("--sheet", metavar="FILE.png", type=Path, help="write a contact sheet with the boxes drawn in")
    inspect.add_argument("--json", action="store_true", help="print JSON")


def _fetch(args: argparse.Namespace) -> int:
    from edge_ssd.data.bananas import fetch_bananas
    from edge_ssd.progress import Progress

    with Progress("fetching bananas", "bytes") as progress:
        fetched = fetch_bananas(args.to, progress=progress)
    print(f"{fetched.path}: {'fetched and verified' if fetched.downloaded else 'already there, nothing to do'}")
    return 0


def _make(args: argparse.Namespace) -> int:
    from edge_ssd.data.synthetic import make_synthetic
    from edge_ssd.progress import Progress

    with Progress("drawing", "pictures") as progress:
        made = make_synthetic(args.to, args.train, args.val, args.seed, args.size, progress)
    drawn = f"{args.train} + {args.val} pictures drawn" if made.drawn else "already there, nothing to do"
    print(f"{made.path}: {drawn}")
    return 0


def _inspect(args: argparse.Namespace) -> int:
    import dataclasses

    from edge_ssd.data.inspect import contact_sheet, format_summary, summarise, undecodable
    from edge_ssd.data.load import Split, available_splits, load_dataset
    from edge_ssd.errors import DataError
    from edge_ssd.files import atomic_path
    from edge_ssd.progress import Progress

    if args.sheet is not None and args.sheet.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise DataError(f"{args.sheet}: a contact sheet is a picture: give it a name that ends in .png or .jpg")
    splits: list[Split | None] = [args.split] if args.split else [*available_splits(args.folder)] or [None]
    summaries = {}
    for split in splits:
        dataset = load_dataset(args.folder, split, strict=args.strict)
        if args.decode:
            with Progress("decoding", "pictures") as progress:
                broken = undecodable(dataset, progress)
            if broken and args.strict:
                raise DataError(str(broken[0]))
            dataset = dataclasses.replace(dataset, problems=dataset.problems + broken)
        summaries[split or "all"] = summarise(dataset)
    if args.json:
        print(
            json.dumps({"folder": str(args.folder), "splits": {k: v.to_dict() for k, v in summaries.items()}}, indent=2)
        )
    else:
        print("\n\n".join(format_summary(summary, f"{args.folder} {name}") for name, summary in summaries.items()))
    if args.sheet is not None:
        sheet = contact_sheet(load_dataset(args.folder, args.split))
        with atomic_path(args.sheet) as temporary:
            sheet.save(temporary)
        if not args.json:
            print(f"\n{args.sheet}: contact sheet of {args.folder}")
    return 0
