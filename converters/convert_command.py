"""``edge-ssd convert``: quantise a ``.keras`` model into one self-describing ``.tflite``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converters.interop.export import PROFILES
from converters.quantization.calibration import DEFAULT_IMAGES
from converters.quantization.layers import DEFAULT_KEEP
from converters.quantization.quantize import SCHEMES
from converters.tflite.compatibility import check_compatibility, graph_to_dict, portability_problems
from edge_ssd.commands.data_options import add_data_options, data_source

if TYPE_CHECKING:
    from converters.convert import Conversion

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Convert a trained model into one .tflite file that holds all that a device needs: the quantised network,\n"
        "anchors, labels, thresholds, a self-test, and the average precision measured before and after."
    )
    parser.epilog = (
        "schemes:\n"
        "  int8     whole network in int8: small and fast, the one for a board\n"
        "  mixed    int8, but the layers of --keep in float: where int8 loses too much\n"
        "  int16x8  int8 weights, int16 activations: nearly float, but slow\n"
        "  dynamic  int8 weights, float activations\n"
        "  float16  half the size of float\n"
        "  none     float32\n"
        "The input is uint8 pixels in all of them.\n\n"
        "profiles, files for other runtimes that 'edge-ssd detect' does not open:\n"
        "  mediapipe    for the ObjectDetector of MediaPipe Tasks\n"
        "  postprocess  the four outputs that Frigate, the TFLite Task Library and PyCoral's examples read\n\n"
        "examples:\n"
        "  edge-ssd convert run/model.keras --data bananas --out banana.tflite\n"
        "  edge-ssd convert run/model.keras --data bananas --quantize float16 --out banana16.tflite --no-accuracy\n"
        "  edge-ssd convert run/model.keras --data bananas --profile mediapipe --out banana_mediapipe.tflite"
    )
    parser.add_argument("model", type=Path, metavar="MODEL.keras", help="a model that 'edge-ssd train' wrote")
    add_data_options(parser, help="a dataset to calibrate on and to measure on")
    parser.add_argument("--quantize", choices=SCHEMES, default="int8", help="(default: int8)")
    parser.add_argument(
        "--keep",
        metavar="LAYERS",
        help="for mixed: which layers stay out of int8, as names or patterns with commas between, such as "
        f"'classes_0,down_sample_1/*' (default: the heads, {','.join(DEFAULT_KEEP)})",
    )
    parser.add_argument(
        "--keep-type",
        choices=("float", "int16"),
        help="for mixed: what they are computed in (default: float; int16 needs ai-edge-litert 2.3 and is slower)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.tflite", help="the file to write")
    parser.add_argument("--profile", choices=PROFILES, help="write a file for another runtime instead (see below)")
    parser.add_argument("--name", help="the model's name, for people (default: the file's)")
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=DEFAULT_IMAGES,
        metavar="N",
        help="training pictures to take the ranges of int8, mixed and int16x8 from (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="which pictures to calibrate on (default: %(default)s)"
    )
    parser.add_argument("--no-accuracy", action="store_true", help="do not measure average precision")
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N pictures, spread evenly (default: all)")
    parser.add_argument(
        "--self-test",
        type=Path,
        metavar="IMAGE",
        help="the picture to embed as self-test; it is published with the file (default: a validation picture)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the summary")


def run(args: argparse.Namespace) -> int:
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    quiet_tensorflow()
    from converters.convert import convert_model
    from edge_ssd.data.load import open_dataset
    from edge_ssd.errors import SettingError

    if args.quantize != "mixed" and (args.keep or args.keep_type):
        raise SettingError(f"--keep and --keep-type choose layers for --quantize mixed, not for {args.quantize}")
    result = convert_model(
        args.model,
        open_dataset(data_source(args)),
        args.out,
        scheme=args.quantize,
        keep=DEFAULT_KEEP if args.keep is None else args.keep.split(","),
        keep_type=args.keep_type or "float",
        profile=args.profile,
        calibration_images=args.calibration_images,
        seed=args.seed,
        name=args.name,
        measure=not args.no_accuracy,
        limit=args.limit,
        selftest_image=args.self_test,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(json.dumps(_facts(result), ensure_ascii=False) if args.json else _summary(result))
    return 0


def _facts(result: Conversion) -> dict[str, Any]:
    """All of :func:`_summary` as plain JSON types."""
    before, after = result.float_precision, result.quantized_precision
    return {
        "file": str(result.path),
        "scheme": result.scheme,
        "profile": result.profile,
        "bytes": result.size,
        "model_bytes": result.model_size,
        **graph_to_dict(result.graph),
        "calibrated_on": result.calibrated_on,
        "warnings": list(result.warnings),
        "accuracy": None
        if before is None or after is None
        else {"float": before.to_dict(), "quantized": after.to_dict()},
        "self_test_objects": result.selftest_detections,
        "seconds": round(result.seconds, 1),
    }


def _summary(result: Conversion) -> str:
    counts = result.graph.operator_counts()
    operators = ", ".join(f"{count} {operator.name}" for operator, count in counts.items())
    lines = [
        f"{result.path}: {result.size / 1e6:.2f} MB ({result.scheme} network {result.model_size / 1e6:.2f} MB)",
        f"  operators   {operators}",
        f"  runs on     {'; '.join(map(str, check_compatibility(result.graph)))}",
        *(f"  PROBLEM     {problem}" for problem in portability_problems(result.graph)),
    ]
    if result.calibrated_on:
        lines.append(f"  calibrated  on {result.calibrated_on} pictures")
    before, after = result.float_precision, result.quantized_precision
    if before is not None and after is not None:
        lines.append(
            f"  AP          {before.ap:.3f} float → {after.ap:.3f} converted ({after.ap - before.ap:+.4f}), "
            f"on {after.num_images} pictures"
        )
    if result.profile is None:
        count = result.selftest_detections
        lines.append(f"  self-test   {count} object{'' if count == 1 else 's'} in the embedded picture")
    else:
        found = result.selftest_detections
        lines.append(f"  profile     {result.profile}: gives the network's own {found} objects in a picture")
    lines.append(f"  took        {result.seconds:.0f} s")
    return "\n".join(lines)
