"""``edge-ssd data merge``: several datasets in one."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from edge_ssd.commands.data_options import add_label_options
from edge_ssd.commands.data_output import add_output_options, write
from edge_ssd.errors import SettingError

__all__ = ["add_to", "run"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``edge-ssd data merge`` to ``commands``, the subcommands of ``edge-ssd data``."""
    parser = commands.add_parser(
        "merge",
        help="write several datasets as one",
        description=(
            "Merge datasets, such as batches of one set, into a new folder. Their label formats may differ. Classes\n"
            "and splits are matched by name; images of the same name get the name of their folder in front; identical\n"
            "images are taken once."
        ),
        epilog=(
            "examples:\n"
            "  edge-ssd data merge monday tuesday wednesday all --to coco\n"
            "  edge-ssd data merge monday tuesday all --to yolo --classes '*,Bolt=bolt'\n"
        ),
    )
    parser.add_argument("data", metavar="DIR", nargs="+", type=Path, help="the datasets, and last the new folder")
    add_label_options(parser)
    add_output_options(parser)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first fault, where it is open how labels are read, and at identical images with different "
        "labels",
    )


def run(args: argparse.Namespace) -> int:
    """Merge the datasets and print what was written; return 0."""
    from edge_ssd.atomic_write import is_nonempty
    from edge_ssd.console.progress import Progress
    from edge_ssd.data.classes import parse_classes
    from edge_ssd.data.load import open_dataset
    from edge_ssd.data.merge import merge_datasets
    from edge_ssd.data.source import DataSource
    from edge_ssd.data.writers.write import check_new_folder

    *roots, out = args.data
    usage = shlex.join(["edge-ssd", "data", "merge", *map(str, args.data), "OUT", "--to", args.to])
    if len(roots) < 2:
        raise SettingError(f"data merge needs two datasets or more, and last the new folder, as in: {usage}")
    if out not in roots and is_nonempty(out):
        raise SettingError(f"{out}: is not an empty folder: the last path is the new folder, as in: {usage}")
    if args.classes is not None:
        parse_classes(args.classes)
    check_new_folder(out, roots)
    folders = [open_dataset(DataSource(root, args.format, None, args.boxes, args.box_units)) for root in roots]
    with Progress("reading", "images") as progress:
        splits = merge_datasets(folders, args.classes, args.strict, progress)
    write(args, out, splits, roots, args.to)
    return 0
