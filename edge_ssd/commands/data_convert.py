"""``edge-ssd data convert``: a dataset in another label format."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge_ssd.commands.data_options import add_data_options, data_source
from edge_ssd.commands.data_output import add_output_options, write

__all__ = ["add_to", "run"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``edge-ssd data convert`` to ``commands``, the subcommands of ``edge-ssd data``."""
    parser = commands.add_parser(
        "convert",
        help="write a dataset in another label format",
        description=(
            "Write the boxes, classes, splits and images of a dataset in another label format, to a new folder. The\n"
            "dataset itself is not changed, and images are copied byte for byte. Faults are dropped as in training."
        ),
        epilog=(
            "examples:\n"
            "  edge-ssd data convert data/cells data/cells-coco --to coco\n"
            "  edge-ssd data convert data/cells data/white-yolo --to yolo --classes WBC=white --images link\n"
        ),
    )
    add_data_options(parser, "data", help="a dataset in any supported format")
    parser.add_argument("out", metavar="OUT", type=Path, help="new folder for the converted dataset")
    add_output_options(parser)


def run(args: argparse.Namespace) -> int:
    """Convert the dataset and print what was written; return 0."""
    from edge_ssd.console.progress import Progress
    from edge_ssd.data.load import open_dataset
    from edge_ssd.data.splits import load_every_split
    from edge_ssd.data.writers.write import check_new_folder

    check_new_folder(args.out, [args.data])
    folder = open_dataset(data_source(args))
    with Progress("reading", "images") as progress:
        splits = load_every_split(folder, strict=args.strict, progress=progress)
    write(args, args.out, splits, [args.data], args.to, folder.read_header)
    return 0
