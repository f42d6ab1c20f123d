"""``edge-ssd compare``: every quantisation scheme of a model in one table."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from converters.quantization.calibration import DEFAULT_IMAGES
from converters.quantization.layers import DEFAULT_KEEP
from converters.quantization.quantize import SCHEMES
from edge_ssd.commands.data_options import add_data_options, data_source

if TYPE_CHECKING:
    from converters.compare import Comparison
    from converters.quantization.quantize import Scheme

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Convert a model with every quantisation scheme and compare the files: average precision on the validation\n"
        "pictures, size, latency on this machine, and where they run. Each file is complete and ready to use."
    )
    parser.epilog = (
        "examples:\n"
        "  edge-ssd compare run/model.keras --data bananas --out schemes\n"
        "  edge-ssd compare run/model.keras --data bananas --out schemes --schemes int8,mixed --keep 'classes_*'"
    )
    parser.add_argument("model", type=Path, metavar="MODEL.keras", help="a model that 'edge-ssd train' wrote")
    add_data_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    parser.add_argument(
        "--schemes",
        default=",".join(SCHEMES),
        metavar="LIST",
        help="with commas between (default: %(default)s; mixed is left out where ai-edge-quantizer is not installed)",
    )
    parser.add_argument(
        "--keep", default=",".join(DEFAULT_KEEP), metavar="LAYERS", help="as in convert (default: %(default)s)"
    )
    parser.add_argument("--keep-type", choices=("float", "int16"), default="float", help="as in convert")
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=DEFAULT_IMAGES,
        metavar="N",
        help="as in convert (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="as in convert (default: %(default)s)")
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N pictures, spread evenly (default: all)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the interpreter (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    schemes = _schemes(args.schemes)
    quiet_tensorflow()
    from converters.compare import compare_schemes
    from edge_ssd.data.load import open_dataset

    result = compare_schemes(
        args.model,
        open_dataset(data_source(args)),
        args.out,
        schemes=schemes,
        keep=args.keep.split(","),
        keep_type=args.keep_type,
        calibration_images=args.calibration_images,
        seed=args.seed,
        limit=args.limit,
        threads=args.threads,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(json.dumps(result.to_dict()) if args.json else "\n".join(_table(result)))
    return 0


def _schemes(text: str) -> list[Scheme]:
    """The schemes asked for, in the order of :data:`SCHEMES`."""
    from importlib.util import find_spec

    from edge_ssd.errors import SettingError

    asked = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in SCHEMES]
    if unknown or not asked:
        what = f"no scheme is called {unknown[0]!r}" if unknown else "no scheme is named"
        raise SettingError(f"{what}; choose from {', '.join(SCHEMES)}")
    if text == ",".join(SCHEMES) and find_spec("ai_edge_quantizer") is None:
        print('note: without mixed, which needs: pip install "edge-ssd[mixed]"', file=sys.stderr)
        asked.remove("mixed")
    return [scheme for scheme in SCHEMES if scheme in asked]


def _table(result: Comparison) -> list[str]:
    keras = result.keras
    width = max(len(str(row.path)) for row in result.rows)
    runtimes = [target.runtime for target in result.rows[0].targets]
    lines = [
        f"{keras.num_images} pictures, {keras.num_objects} objects; {result.backend}, {result.threads} thread(s)",
        f"{'scheme':8}     AP   AP50   AP75   AP lost      MB      ms  {'file':{width}}",
        f"{'Keras':8}  {keras.ap:.3f}  {keras.ap50:.3f}  {keras.ap75:.3f}",
    ]
    notes = []
    for row in result.rows:
        found = row.precision
        lines.append(
            f"{row.scheme:8}  {found.ap:.3f}  {found.ap50:.3f}  {found.ap75:.3f}  {keras.ap - found.ap:+8.4f}  "
            f"{row.size / 1e6:6.2f}  {row.milliseconds:6.2f}  {row.path}"
        )
        notes += [f"{row.scheme}: {target}" for target in row.targets if not target.runs]
    runs = f"all run on {', '.join(runtimes)}" if not notes else f"run on {', '.join(runtimes)}, except:"
    return [*lines, runs, *(f"  {note}" for note in notes)]
