"""``edge-ssd data anchors``: sizes and ratios fitted to a data set, and what they bring."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ssd.commands.input_options import add_input_options
from edge_ssd.data.source import add_data_options, data_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_ssd.network import Level

__all__ = ["add_to", "run"]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    anchors = commands.add_parser(
        "anchors",
        help="fit anchor sizes and ratios to a data set",
        description=(
            "Fit the anchors' sizes and ratios to the training boxes, as 'edge-ssd train --anchors fit' does, and\n"
            "show how many boxes match an anchor before and after, on them and on the validation boxes."
        ),
        epilog=(
            "examples:\n"
            "  edge-ssd data anchors data/cells\n"
            "  edge-ssd data anchors data/cells --input-size 192x320 --resize letterbox --json\n"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    anchors.add_argument("folder", metavar="DIR", type=Path, help="a data set in any known format")
    add_data_options(anchors)
    add_input_options(anchors)
    anchors.add_argument("--seed", type=int, default=0, metavar="S", help="of the starts tried (default: %(default)s)")
    anchors.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Returns 0."""
    from edge_ssd.data.anchor_fitting.fit import fit_anchors
    from edge_ssd.data.anchor_fitting.match import match_anchors, network_boxes
    from edge_ssd.data.load import open_dataset
    from edge_ssd.network import tiny_ssd

    opened = open_dataset(data_source(args, args.folder))
    parts = {"train": opened.load("train" if "train" in opened.splits else None)}
    if "train" in opened.splits and ("val" in opened.splits or "test" in opened.splits):
        parts["val"] = opened.load("val")
    network = tiny_ssd(parts["train"].labels, input_size=args.input_size, resize=args.resize)
    boxes = {name: network_boxes(dataset, network.input) for name, dataset in parts.items()}
    fitted = fit_anchors(boxes["train"], network.levels, args.seed)
    before, after = (
        {name: match_anchors(found, levels) for name, found in boxes.items()} for levels in (network.levels, fitted)
    )
    if args.json:
        report: dict[str, Any] = {
            "folder": str(args.folder),
            "input_size": list(args.input_size),
            "resize": args.resize,
            "levels": [
                {"height": level.height, "width": level.width, "sizes": level.sizes, "ratios": level.ratios}
                for level in fitted
            ],
            "match": {name: {"before": before[name].to_dict(), "after": after[name].to_dict()} for name in parts},
        }
        print(json.dumps(report, indent=2))
        return 0
    print(f"{args.folder}: anchors fitted to {len(boxes['train'])} boxes")
    print("\n".join(_table(network.levels, fitted)))
    for name in parts:
        old, new = before[name], after[name]
        print(
            f"{name:5} {new.objects} boxes: {old.matched:.1%} → {new.matched:.1%} match an anchor, "
            f"{old.seen:.1%} → {new.seen:.1%} are seen whole by its level"
        )
    return 0


def _table(before: Sequence[Level], after: Sequence[Level]) -> list[str]:
    lines = [f"  {'level':8}  {'sizes':16}  ratios"]
    for old, new in zip(before, after, strict=True):
        kept = "   (as it was)" if old == new else ""
        sizes, ratios = (" ".join(f"{value:.3f}" for value in values) for values in (new.sizes, new.ratios))
        lines.append(f"  {f'{new.height}×{new.width}':8}  {sizes:16}  {ratios}{kept}")
    return lines
