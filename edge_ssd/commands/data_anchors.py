"""``edge-ssd data anchors``: anchor sizes and ratios fitted to a dataset, and how well they match its boxes."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

from edge_ssd.commands.data_options import add_data_options, data_source
from edge_ssd.commands.network_options import add_input_options
from edge_ssd.console.counts import count
from edge_ssd.console.text import print_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_ssd.network import Level

__all__ = ["add_to", "run"]

_log = logging.getLogger(__name__)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``edge-ssd data anchors`` to ``commands``, the subcommands of ``edge-ssd data``."""
    parser = commands.add_parser(
        "anchors",
        help="fit anchor sizes and ratios to a dataset",
        description=(
            "Fit the anchors' sizes and ratios to the training boxes, as 'edge-ssd train --anchors fit' does, and\n"
            "show how many training and validation boxes match an anchor before and after."
        ),
        epilog=(
            "examples:\n"
            "  edge-ssd data anchors data/cells\n"
            "  edge-ssd data anchors data/cells --input-size 192x320 --resize letterbox --json\n"
        ),
    )
    add_data_options(parser, "data", help="a dataset in any supported format")
    add_input_options(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the random starts (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Fit the anchors and print them; return 0."""
    from edge_ssd.console.json_output import print_json
    from edge_ssd.data.anchor_fitting.fit import fit_anchors
    from edge_ssd.data.anchor_fitting.match import match_anchors, network_boxes
    from edge_ssd.data.dataset import problem_lines
    from edge_ssd.data.load import open_dataset
    from edge_ssd.data.splits import load_training_split
    from edge_ssd.network import tiny_ssd

    folder = open_dataset(data_source(args))
    datasets = {"train": load_training_split(folder)}
    if "train" in folder.splits and folder.evaluation_split is not None:
        datasets["val"] = folder.load(folder.evaluation_split)
    problems = dict.fromkeys(problem for dataset in datasets.values() for problem in dataset.problems)
    for line in problem_lines(tuple(problems)):
        _log.warning("%s", line)
    network = tiny_ssd(datasets["train"].labels, input_size=args.input_size, resize=args.resize)
    boxes = {split: network_boxes(dataset, network.input) for split, dataset in datasets.items()}
    fitted = fit_anchors(boxes["train"], network.levels, args.seed)
    before, after = (
        {split: match_anchors(boxes[split], levels) for split in boxes} for levels in (network.levels, fitted)
    )
    if args.json:
        report: dict[str, Any] = {
            "folder": str(args.data),
            "input_size": list(args.input_size),
            "resize": args.resize,
            "levels": [
                {"height": level.height, "width": level.width, "sizes": level.sizes, "ratios": level.ratios}
                for level in fitted
            ],
            "match": {split: {"before": before[split].to_dict(), "after": after[split].to_dict()} for split in boxes},
        }
        print_json(report)
        return 0
    print_text(f"{args.data}: anchors fitted to {count(len(boxes['train']), 'box')}")
    print_text(_level_table(network.levels, fitted))
    for split in boxes:
        old, new = before[split], after[split]
        print_text(
            f"{split:5} {count(new.objects, 'box')}: {old.matched:.1%} → {new.matched:.1%} match an anchor, "
            f"{old.seen:.1%} → {new.seen:.1%} in the receptive field of its level"
        )
    return 0


def _level_table(before: Sequence[Level], after: Sequence[Level]) -> str:
    from edge_ssd.console.table import format_table

    rows = [["level", "sizes", "ratios", ""]]
    for old, new in zip(before, after, strict=True):
        sizes, ratios = (" ".join(f"{value:.3f}" for value in values) for values in (new.sizes, new.ratios))
        rows.append([f"{new.height}×{new.width}", sizes, ratios, "(unchanged)" if old == new else ""])
    return format_table(rows, left=4, indent="  ")
