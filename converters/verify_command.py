"""``edge-ssd verify``: what conversion cost, in average precision, and where."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ssd.data.source import add_data_options, data_source

if TYPE_CHECKING:
    from converters.verification.error_analysis import Diagnosis
    from converters.verification.verify import Verification

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Measure a .tflite and the float model that it was made from on the same pictures, with the same decoding:\n"
        "average precision and its difference with a 95 % interval, how far boxes and scores moved, size and latency.\n"
        "The exit status is 1 when more than --budget was lost."
    )
    parser.epilog = (
        "examples:\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --budget 0.005\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --explain\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --report report.html"
    )
    parser.add_argument("model", type=Path, metavar="FILE.tflite", help="a bundle that 'edge-ssd convert' wrote")
    parser.add_argument("--against", type=Path, required=True, metavar="MODEL.keras", help="what it was made from")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a data set, its format is recognised")
    add_data_options(parser)
    parser.add_argument(
        "--split",
        choices=("train", "val", "test"),
        help="which part (default: val, or test where there is no val; all of a set that is not divided)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N pictures, spread evenly (default: all)")
    parser.add_argument("--budget", type=float, metavar="AP", help="exit 1 when more AP than this is lost")
    parser.add_argument(
        "--explain", action="store_true", help="find the heads that the loss comes from, and what to do about it"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write all of it with curves and pictures; implies --explain"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    quiet_tensorflow()
    from converters.load_model import load_model
    from converters.verification.report import check_report, write_report
    from converters.verification.verify import verify
    from edge_ssd.data.dataset import problem_lines
    from edge_ssd.errors import SettingError
    from edge_ssd.evaluation.splits import load_eval_split
    from edge_ssd.runtime.bundle import read_bundle

    if args.budget is not None and not 0 <= args.budget <= 1:
        raise SettingError(f"the budget is a loss of AP from 0 to 1, got {args.budget}")
    if args.report is not None:
        check_report(args.report)
    bundle, model = read_bundle(args.model), load_model(args.against)
    dataset, part = load_eval_split(data_source(args), bundle.labels, args.split, args.limit)
    for line in problem_lines(dataset.problems):
        print(f"note: {line}", file=sys.stderr)
    result = verify(
        bundle,
        model,
        args.against,
        dataset,
        explain=args.explain or args.report is not None,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    passed = args.budget is None or result.within(args.budget)
    if args.report is not None:
        write_report(args.report, result, bundle, f"{args.data.resolve().name}, {part}", args.budget)
        print(f"report: {args.report}", file=sys.stderr)
    if args.json:
        facts = {"model": str(args.model), "against": str(args.against), "data": str(args.data), "split": part}
        print(json.dumps({**facts, **result.to_dict(), "budget": args.budget, "passed": passed}))
    else:
        print("\n".join(_table(result, part, args)))
    return 0 if passed else 1


def _table(result: Verification, part: str, args: argparse.Namespace) -> list[str]:
    precision = result.float_result.precision
    rows = result.rows()
    width = max(len(row.name) for row in rows)
    lines = [
        f"{args.model} against {args.against}",
        f"{precision.num_images} pictures of {args.data} ({part}), {precision.num_objects} objects",
        f"{'':{width}}   Keras  float .tflite  converted  difference",
        *(
            f"{row.name:{width}}  {row.keras:6.3f}  {row.float_tflite:13.3f}  {row.converted:9.3f}"
            f"  {row.converted - row.keras:+10.4f}"
            for row in rows
        ),
    ]
    if result.interval is not None:
        lines.append(
            f"AP lost: {result.loss:.4f}, 95 % interval {result.interval.low:.4f} to {result.interval.high:.4f}"
        )
    lines += [*_agreement(result), *_cost(result)]
    if result.diagnosis is not None:
        lines += _explain(result.diagnosis)
    if args.budget is not None:
        verdict = "within" if result.within(args.budget) else "PAST"
        lines.append(f"{verdict} the budget: {result.loss:.4f} AP lost, {args.budget} allowed")
    return lines


def _agreement(result: Verification) -> list[str]:
    found = result.agreement
    total = found.matched + found.only_float + found.only_converted
    if not total:
        return [f"neither model shows anything with a score of {found.score_threshold:g}"]
    lines = [
        f"of {total} detections with a score of {found.score_threshold:g}: {found.matched} in both, "
        f"{found.only_float} only float, {found.only_converted} only converted"
    ]
    if found.mean_iou is not None:
        lines.append(
            f"boxes in both: IoU {found.mean_iou:.3f} (95 % above {found.low_iou:.3f}), score "
            f"{found.mean_score_drift:+.3f} (95 % within ±{found.high_score_drift:.3f})"
        )
    return lines


def _cost(result: Verification) -> list[str]:
    before, after = result.latency.milliseconds
    return [
        f"size: {result.sizes[0] / 1e6:.2f} → {result.sizes[1] / 1e6:.2f} MB ({result.size_ratio:.1f} times smaller)",
        f"latency: {before:.2f} → {after:.2f} ms ({result.speed_up:.1f} times faster; {result.latency.backend}, "
        f"{result.latency.threads} thread, in turn)",
    ]


def _explain(diagnosis: Diagnosis) -> list[str]:
    gains = {row.name: row for row in diagnosis.attributions}
    lines = [
        f"head by head, on {diagnosis.pictures} pictures; AP gained when the float model's takes its place:",
        "  output      type     scale     float range      error  rounding  clipped  AP gained",
    ]
    for head in diagnosis.heads:
        scale = "" if head.scale is None else f"{head.scale:.5f}"
        span = f"{head.low:.1f} to {head.high:.1f}"
        lines.append(
            f"  {head.output:10}  {head.dtype:7}  {scale:8}  {span:>15}  {head.relative_rmse:6.1%}  "
            f"{head.rounding_error:8.1%}  {head.clipped:7.2%}  {gains[head.output].gain:+9.4f}"
        )
    for name in ("all classes", "all boxes"):
        lines.append(f"  {name:67}  {gains[name].gain:+9.4f}".replace("  +", "  +"))
    return [*lines, diagnosis.recommendation]
