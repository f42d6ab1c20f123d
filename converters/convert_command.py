"""``edge-ssd convert``: quantize a ``.keras`` model into one self-describing ``.tflite``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from converters.interop.export import PROFILES
from converters.options import add_conversion_options, conversion_config
from converters.quantization.schemes import SCHEMES
from converters.tflite.compatibility import check_compatibility, portability_problems
from edge_ssd.commands.data_options import add_data_options, data_source
from edge_ssd.console.counts import count, signed
from edge_ssd.console.text import print_text

if TYPE_CHECKING:
    from converters.conversion_result import ConversionResult

__all__ = ["add_arguments", "format_result", "run"]

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Convert a trained model into one .tflite file that contains all that a device needs: the quantized network,\n"
        "anchors, labels, thresholds, a self-test, and the average precision before and after conversion."
    )
    parser.epilog = (
        "schemes:\n"
        "  int8     whole network in int8: small and fast, the scheme for a board\n"
        "  mixed    int8, except the layers of --keep in float: if int8 loses too much precision\n"
        "  int16x8  int8 weights, int16 activations: nearly float, but slow\n"
        "  dynamic  int8 weights, float activations\n"
        "  float16  half the size of float\n"
        "  none     float32\n"
        "The input is uint8 pixels in every scheme.\n\n"
        "profiles, files for other runtimes, which 'edge-ssd detect' does not open:\n"
        "  mediapipe    for the ObjectDetector of MediaPipe Tasks\n"
        "  postprocess  the four outputs that Frigate, the TFLite Task Library and PyCoral's examples read\n\n"
        "examples:\n"
        "  edge-ssd convert run/model.keras --data bananas --out banana.tflite\n"
        "  edge-ssd convert run/model.keras --data bananas --quantize float16 --out banana16.tflite --no-accuracy\n"
        "  edge-ssd convert run/model.keras --data bananas --profile mediapipe --out banana_mediapipe.tflite"
    )
    add_data_options(parser, help="a dataset to calibrate on and to measure on")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tflite", help="the file to write")
    parser.add_argument("--quantize", choices=SCHEMES, default="int8", help="scheme (default: int8)")
    add_conversion_options(parser)
    parser.add_argument("--profile", choices=PROFILES, help="write a file for another runtime instead (see below)")
    parser.add_argument("--name", help="display name of the model (default: the file's)")
    parser.add_argument("--no-accuracy", action="store_true", help="do not measure average precision")
    parser.add_argument(
        "--self-test",
        type=Path,
        metavar="IMAGE",
        help="image to embed for the self-test; it is published with the file (default: a validation image)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    quiet_tensorflow()
    from converters.convert import check_arguments, convert_model
    from converters.load_model import find_float_model
    from edge_ssd.console.json_output import print_json
    from edge_ssd.data.load import open_dataset
    from edge_ssd.errors import SettingError

    if args.quantize != "mixed" and (args.keep or args.keep_type):
        raise SettingError(f"--keep and --keep-type choose layers for --quantize mixed, not for {args.quantize}")
    config = conversion_config(
        args,
        scheme=args.quantize,
        profile=args.profile,
        name=args.name,
        measure=not args.no_accuracy,
        selftest_image=args.self_test,
    )
    check_arguments(args.out, config)
    model, data = find_float_model(args.model), open_dataset(data_source(args))
    for problem in data.common_problems:
        _log.warning("%s", problem)
    result = convert_model(model, data, args.out, config)
    if args.json:
        print_json(result.to_dict())
    else:
        print_text(format_result(result))
    return 0


def format_result(result: ConversionResult) -> str:
    """Return text of several lines: size, operators, compatible runtimes, AP before and after, and self-test."""
    scheme, profile = result.config.scheme, result.config.profile
    counts = result.graph.operator_counts()
    lines = [
        f"{result.path}: {result.size / 1e6:.2f} MB ({scheme} network {result.model_size / 1e6:.2f} MB)",
        f"  operators   {', '.join(f'{count} {operator.name}' for operator, count in counts.items())}",
        f"  runs on     {'; '.join(map(str, check_compatibility(result.graph)))}",
        *(f"  PROBLEM     {problem}" for problem in portability_problems(result.graph)),
    ]
    if result.calibrated_on:
        lines.append(f"  calibrated  on {count(result.calibrated_on, 'image')}")
    before, after = result.float_precision, result.quantized_precision
    if before is not None and after is not None:
        lines.append(
            f"  AP          {before.ap:.3f} float → {after.ap:.3f} converted ({signed(after.ap - before.ap, 4)}), "
            f"on {count(after.num_images, 'image')}"
        )
    lines.append(f"  threshold   {result.score_threshold.describe()}")
    objects = f"{count(result.selftest_detections, 'object')} with a score of at least {result.selftest_threshold:.2g}"
    if profile is None:
        lines.append(f"  self-test   {objects} in the embedded image")
    else:
        lines.append(f"  profile     {profile}: detects the same as the bundle in the self-test image: {objects}")
    lines.append(f"  took        {result.seconds:.0f} s")
    return "\n".join(lines)
