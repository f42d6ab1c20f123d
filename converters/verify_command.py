"""``edge-ssd verify``: what conversion cost, in average precision."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from converters.verify import Verification

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Measure the float model and the .tflite that was made from it on the same pictures, with the same decoding,\n"
        "and print average precision of both. The exit status is 1 when more than --budget was lost."
    )
    parser.epilog = (
        "examples:\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --budget 0.005\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --report report.html"
    )
    parser.add_argument("model", type=Path, metavar="FILE.tflite", help="a bundle that 'edge-ssd convert' wrote")
    parser.add_argument("--against", type=Path, required=True, metavar="MODEL.keras", help="what it was made from")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a data set, its format is recognised")
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        help="which part (default: val, or test where there is no val; all of a set that is not divided)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N pictures, spread evenly (default: all)")
    parser.add_argument("--budget", type=float, metavar="AP", help="exit 1 when more AP than this is lost")
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="write the table and sample pictures")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    from edge_ssd.training.quiet import quiet_tensorflow

    quiet_tensorflow()
    from converters.report import check_report, write_report
    from converters.verify import verify
    from edge_ssd.errors import SettingError
    from edge_ssd.evaluation.pictures import held_out_pictures
    from edge_ssd.runtime.bundle import read_bundle
    from edge_ssd.training.model import load_tiny_ssd

    if args.budget is not None and not 0 <= args.budget <= 1:
        raise SettingError(f"the budget is a loss of AP from 0 to 1, got {args.budget}")
    if args.report is not None:
        check_report(args.report)
    bundle, model = read_bundle(args.model), load_tiny_ssd(args.against)
    dataset, part = held_out_pictures(args.data, bundle.labels, args.split, args.limit)
    for problem in dataset.problems:
        print(f"note: {problem}", file=sys.stderr)
    result = verify(bundle, model, args.against, dataset)
    passed = args.budget is None or result.within(args.budget)
    if args.report is not None:
        write_report(args.report, result, bundle, f"{args.data.resolve().name}, {part}", args.budget)
        print(f"report: {args.report}", file=sys.stderr)
    if args.json:
        facts = {"model": str(args.model), "against": str(args.against), "data": str(args.data), "split": part}
        print(json.dumps({**facts, **result.to_dict(), "budget": args.budget, "passed": passed}))
    else:
        print(_table(result, part, args))
    return 0 if passed else 1


def _table(result: Verification, part: str, args: argparse.Namespace) -> str:
    precision = result.float_result.precision
    rows = result.rows()
    width = max(len(name) for name, _, _ in rows)
    lines = [
        f"{args.model} against {args.against}",
        f"{precision.num_images} pictures of {args.data} ({part}), {precision.num_objects} objects",
        f"{'':{width}}   float  converted  difference",
        *(f"{name:{width}}  {before:6.3f}  {after:9.3f}  {after - before:+10.4f}" for name, before, after in rows),
    ]
    if args.budget is not None:
        verdict = "within" if result.within(args.budget) else "PAST"
        lines.append(f"{verdict} the budget: {result.loss:.4f} AP lost, {args.budget} allowed")
    return "\n".join(lines)
