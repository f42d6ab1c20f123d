"""``edge-ssd verify``: what conversion cost, in average precision, and where."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from converters.measure import MIN_USEFUL_AP
from edge_ssd.commands.data_options import add_background_option, add_data_options, add_eval_split_option, data_source
from edge_ssd.console.text import print_text

__all__ = ["add_arguments", "run"]

_log = logging.getLogger(__name__)

# Number of images that are checked for color and copies.
_CHECKED_IMAGES = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compare a .tflite with the float model that it was made from, on the same images with the same decoding:\n"
        "average precision and its difference with a 95 % interval, changes of boxes and scores, false alarms, size,\n"
        "latency.\n"
        "Or with another .tflite, which it is to replace: the difference of average precision, and false alarms,\n"
        "recall, size and latency of both.\n"
        "The exit status is 1 when the loss exceeds --budget, or the .tflite finds hardly anything (--min-ap)."
    )
    parser.epilog = (
        "examples:\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --budget 0.005\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --explain\n"
        "  edge-ssd verify banana.tflite --against run/model.keras --data bananas --report report.html\n"
        "  edge-ssd verify better.tflite --against banana.tflite --data camera-images"
    )
    parser.add_argument(
        "model", metavar="FILE.tflite", help="a bundle that 'edge-ssd convert' wrote, or a shipped model by name"
    )
    parser.add_argument(
        "--against",
        required=True,
        metavar="MODEL.keras|OLD.tflite",
        help="the model that it was made from (of a shipped model, its name, in a checkout), or one that it replaces",
    )
    add_data_options(parser)
    add_eval_split_option(parser)
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N images, spread evenly (default: all)")
    add_background_option(parser)
    parser.add_argument("--budget", type=float, metavar="AP", help="exit 1 when the loss of AP is larger")
    parser.add_argument(
        "--min-ap",
        type=float,
        default=MIN_USEFUL_AP,
        metavar="AP",
        help="exit 1 when the .tflite has a lower AP or detects nothing, however little it lost (default: %(default)s; "
        "0 to turn off)",
    )
    parser.add_argument(
        "--explain", action="store_true", help="find the heads that cause the loss, and recommend options"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE.html", help="write a report with curves and images; implies --explain"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    if Path(args.against).suffix.lower() == ".tflite":
        return _compare_with_bundle(args)
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    quiet_tensorflow()
    from converters.load_model import find_float_model, load_model
    from converters.quantization.calibration import read_network_inputs
    from converters.quantization.image_warnings import image_warnings
    from converters.verification.limits import Limits
    from converters.verification.report import check_report, write_report
    from converters.verification.text import format_verification
    from converters.verification.verify import verify
    from edge_ssd.console.json_output import print_json
    from edge_ssd.data.background_images import load_background
    from edge_ssd.data.dataset import problem_lines
    from edge_ssd.data.eval_split import load_eval_split
    from edge_ssd.data.held_out_images import parse_held_out, where_listed
    from edge_ssd.data.load import open_dataset
    from edge_ssd.data.splits import subsample_evenly
    from edge_ssd.runtime.bundle import read_bundle
    from edge_ssd.runtime.shipped_models import find_model

    limits = Limits(args.budget, args.min_ap)
    if args.report is not None:
        check_report(args.report)
    model_path = find_float_model(args.against)
    bundle, model = read_bundle(find_model(args.model)), load_model(model_path)
    dataset, split = load_eval_split(
        open_dataset(data_source(args)),
        bundle.labels,
        args.split,
        args.limit,
        held_out=model.held_out or parse_held_out(bundle.metadata),
        listed_in=where_listed(model_path if model.held_out else bundle.path),
    )
    images = read_network_inputs(subsample_evenly(dataset, _CHECKED_IMAGES).samples, bundle.network.input)
    for line in (*problem_lines(dataset.problems), *image_warnings(images, "evaluation")):
        _log.warning("%s", line)
    background = load_background(args.background, dataset, args.strict)
    explain = args.explain or args.report is not None
    result = verify(bundle, model, model_path, dataset, background, explain=explain)
    passed = limits.passed(result)
    if args.report is not None:
        write_report(args.report, result, bundle, f"{args.data.resolve().name}, {split}", limits)
        _log.info("report: %s", args.report)
    if args.json:
        facts = {"model": args.model, "against": args.against, "data": str(args.data), "split": split}
        print_json({**facts, **result.to_dict(), "budget": args.budget, "min_ap": args.min_ap, "passed": passed})
    else:
        print_text(f"{args.model} against {args.against}")
        print_text(format_verification(result, f"{args.data} ({split})", limits))
    return 0 if passed else 1


def _compare_with_bundle(args: argparse.Namespace) -> int:
    from converters.verification.limits import Limits
    from converters.verification.replacement import compare_bundles
    from edge_ssd.console.json_output import print_json
    from edge_ssd.data.background_images import load_background
    from edge_ssd.data.dataset import problem_lines
    from edge_ssd.data.eval_split import load_eval_split
    from edge_ssd.data.held_out_images import parse_held_out, where_listed
    from edge_ssd.data.load import open_dataset
    from edge_ssd.errors import SettingError
    from edge_ssd.runtime.bundle import read_bundle
    from edge_ssd.runtime.shipped_models import find_model

    limits = Limits(args.budget, args.min_ap)
    for name in ("explain", "report"):
        if getattr(args, name):
            raise SettingError(f"--{name} needs the float model: --against MODEL.keras")
    old, new = read_bundle(args.against), read_bundle(find_model(args.model))
    dataset, split = load_eval_split(
        open_dataset(data_source(args)),
        new.labels,
        args.split,
        args.limit,
        held_out=parse_held_out(new.metadata),
        listed_in=where_listed(new.path),
    )
    for line in problem_lines(dataset.problems):
        _log.warning("%s", line)
    result = compare_bundles(old, new, dataset, load_background(args.background, dataset, args.strict))
    passed = limits.allows(result)
    if args.json:
        facts = {"model": args.model, "against": args.against, "data": str(args.data), "split": split}
        print_json({**facts, **result.to_dict(), "budget": args.budget, "min_ap": args.min_ap, "passed": passed})
    else:
        print_text(f"{args.model} in place of {args.against}")
        print_text("\n".join([result.to_text(f"{args.data} ({split})"), *limits.replacement_verdicts(result)]))
    return 0 if passed else 1
