"""``edge-ssd verify``: what conversion cost, in average precision, and where."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from edge_ssd.commands.data_options import add_data_options, data_source

__all__ = ["add_arguments", "run"]

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compare a .tflite with the float model that it was made from, on the same images with the same decoding:\n"
        "average precision and its difference with a 95 % interval, changes of boxes and scores, size and latency.\n"
        "The exit status is 1 when the loss exceeds --budget."
    )
    parser.epilog = (
        "examples:\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --budget 0.005\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --explain\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --report report.html"
    )
    parser.add_argument("model", type=Path, metavar="FILE.tflite", help="a bundle that 'edge-ssd convert' wrote")
    parser.add_argument(
        "--against", type=Path, required=True, metavar="MODEL.keras", help="the model that it was made from"
    )
    add_data_options(parser)
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        help="dataset split (default: val, or test if there is no val; all images of a dataset without splits)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N images, spread evenly (default: all)")
    parser.add_argument("--budget", type=float, metavar="AP", help="exit 1 when the loss of AP is larger")
    parser.add_argument(
        "--explain", action="store_true", help="find the heads that cause the loss, and recommend options"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write a report with curves and images; implies --explain"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    quiet_tensorflow()
    from converters.load_model import load_model
    from converters.verification.report import check_report, write_report
    from converters.verification.text import format_verification
    from converters.verification.verify import verify
    from edge_ssd.console.json_output import print_json
    from edge_ssd.data.dataset import problem_lines
    from edge_ssd.data.load import open_dataset
    from edge_ssd.data.splits import load_eval_split
    from edge_ssd.errors import SettingError
    from edge_ssd.runtime.bundle import read_bundle

    if args.budget is not None and not 0 <= args.budget <= 1:
        raise SettingError(f"--budget must be a loss of AP from 0 to 1, got {args.budget}")
    if args.report is not None:
        check_report(args.report)
    bundle, model = read_bundle(args.model), load_model(args.against)
    dataset, split = load_eval_split(open_dataset(data_source(args)), bundle.labels, args.split, args.limit)
    for line in problem_lines(dataset.problems):
        _log.warning("%s", line)
    result = verify(bundle, model, args.against, dataset, explain=args.explain or args.report is not None)
    passed = args.budget is None or result.within(args.budget)
    if args.report is not None:
        write_report(args.report, result, bundle, f"{args.data.resolve().name}, {split}", args.budget)
        _log.info("report: %s", args.report)
    if args.json:
        facts = {"model": str(args.model), "against": str(args.against), "data": str(args.data), "split": split}
        print_json({**facts, **result.to_dict(), "budget": args.budget, "passed": passed})
    else:
        print(f"{args.model} against {args.against}")
        print(format_verification(result, f"{args.data} ({split})", args.budget))
    return 0 if passed else 1
