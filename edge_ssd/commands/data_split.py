"""``edge-ssd data split``: division of a dataset into splits."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ssd.commands.data_options import add_data_options, data_source
from edge_ssd.commands.data_output import add_output_options, split_table, write
from edge_ssd.console.counts import count
from edge_ssd.console.text import print_text
from edge_ssd.errors import DataError, SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_ssd.data.dataset import Dataset
    from edge_ssd.data.load import DatasetFolder

__all__ = ["add_to", "run"]

_log = logging.getLogger(__name__)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``edge-ssd data split`` to ``commands``, the subcommands of ``edge-ssd data``."""
    parser = commands.add_parser(
        "split",
        help="divide a dataset into train, val and test",
        description=(
            "Divide an undivided dataset, or the training images of one without a validation split, at random. Every\n"
            "class is divided in the same shares; identical and similar images stay together.\n"
            "Without OUT, lists of the images (train.txt, val.txt) are written into the dataset's folder, and nothing\n"
            "else is changed; with OUT, a divided copy is written there."
        ),
        epilog=(
            "examples:\n"
            "  edge-ssd data split photos\n"
            "  edge-ssd data split photos photos-divided --to yolo --val 0.15 --test 0.1 --seed 1\n"
        ),
    )
    add_data_options(parser, "data", help="a dataset in any supported format")
    parser.add_argument("out", metavar="OUT", type=Path, nargs="?", help="new folder for a divided copy")
    parser.add_argument(
        "--val", metavar="SHARE", type=float, default=0.15, help="of the images, for validation (default: %(default)s)"
    )
    parser.add_argument(
        "--test", metavar="SHARE", type=float, default=0.0, help="of the images, for testing (default: none)"
    )
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument(
        "--again",
        action="store_true",
        help="divide all images of a dataset that is divided; lists of an earlier 'data split' are replaced",
    )
    parser.add_argument("--no-near", action="store_true", help="do not keep similar images together, only identical")
    add_output_options(parser, default="coco")


def run(args: argparse.Namespace) -> int:
    """Divide the dataset and print the counts of each split; return 0."""
    from edge_ssd.data.divide import split_shares
    from edge_ssd.data.load import open_dataset
    from edge_ssd.data.writers.split_lists import check_listable, find_own_lists, write_split_lists
    from edge_ssd.data.writers.write import check_new_folder

    shares = split_shares(args.val, args.test)
    if args.out is None and (args.to or args.images):
        raise SettingError("--to and --images are for a divided copy: give a second folder for it")
    if args.seed < 0:
        raise SettingError(f"--seed must be at least 0, got {args.seed}")
    if args.out is not None:
        check_new_folder(args.out, [args.data])
    replaced = find_own_lists(args.data) if args.again else {}
    folder = open_dataset(data_source(args), without=replaced)
    _check_undivided(folder, args)
    if args.out is None:
        check_listable(folder)
    splits = _divide(folder, shares, args)
    if args.out is not None:
        write(args, args.out, splits, [args.data], args.to or "coco", folder.read_header)
        return 0
    lists = write_split_lists(folder, splits, replaced)
    if replaced:
        earlier = ", ".join(f"{path.name} ({count(number, 'image')})" for path, number in replaced.items())
        _log.info("%s: replaced the lists of an earlier division: %s", args.data, earlier)
    print_text(f"{args.data}: divided by {', '.join(path.name for path in lists)}; delete these to undo it")
    print_text(split_table(splits))
    _log_other_readers(folder, lists)
    return 0


def _log_other_readers(folder: DatasetFolder, lists: Sequence[Path]) -> None:
    """Log that other programs read the splits of a YOLO dataset from its YAML file, which lists do not change."""
    if folder.format != "yolo":
        return
    keys = " and ".join(f"'{path.stem}: {path.name}'" for path in lists)
    for path in folder.tree.files(".yaml", ".yml"):
        if path.parent == folder.tree.root:
            _log.info("%s is unchanged: to train with Ultralytics by these lists, write %s into it", path, keys)


def _check_undivided(folder: DatasetFolder, args: argparse.Namespace) -> None:
    # A split may be stated without its images, as in an export whose folder "valid" was not unpacked.
    splits = [split for split in folder.splits if folder.located.splits.get(split)]
    if args.again or not splits:
        return
    if "val" in splits or "train" not in splits:
        raise DataError(f"{args.data}: it is divided into {', '.join(splits)}: --again divides all of its images")
    if "test" in splits and args.test:
        raise DataError(f"{args.data}: it has a test split: omit --test to keep it, or divide all images with --again")


def _divide(folder: DatasetFolder, shares: Mapping[str, float], args: argparse.Namespace) -> dict[str, Dataset]:
    from edge_ssd.console.progress import Progress
    from edge_ssd.data.divide import divide_dataset, find_similar
    from edge_ssd.data.split_names import SPLITS
    from edge_ssd.data.splits import combine_splits, load_every_split

    with Progress("reading", "images") as progress:
        loaded = load_every_split(folder, strict=args.strict, progress=progress)
    kept = {} if args.again else {split: dataset for split, dataset in loaded.items() if split == "test"}
    dataset = combine_splits({split: dataset for split, dataset in loaded.items() if split not in kept})
    with Progress("comparing", "images") as progress:
        similar = find_similar(dataset, not args.no_near, progress)
    if similar:
        groups = f"{len(similar)} groups of them stay" if len(similar) > 1 else "they stay"
        images = count(sum(map(len, similar)), "image", "is", "are")
        _log.info("%s identical or similar to others: %s together", images, groups)
    divided = {**divide_dataset(dataset, shares, similar, args.seed), **kept}
    for split, share in shares.items():
        if abs(len(divided[split]) - share * len(dataset)) > max(0.05 * len(dataset), 2):
            found = f"{len(divided[split])} of {count(len(dataset), 'image')}"
            _log.warning(
                "%s has %s, not %.0f%%, as rare classes and similar images allow; --no-near ignores similarity",
                split,
                found,
                100 * share,
            )
    _log_absent_classes(divided)
    return {split: divided[split] for split in SPLITS if split in divided}


def _log_absent_classes(splits: Mapping[str, Dataset]) -> None:
    labels = next(iter(splits.values())).labels
    present = {
        split: {int(class_id) for sample in dataset.samples for class_id in sample.class_ids}
        for split, dataset in splits.items()
    }
    for split, own in present.items():
        absent = [labels[class_id] for class_id in sorted(set().union(*present.values()) - own)]
        if absent:
            _log.info("%s has no object of: %s (too few images of these)", split, ", ".join(absent))
