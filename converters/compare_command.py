"""``edge-ssd compare``: every quantization scheme of a model in one table."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from converters.options import add_conversion_options, conversion_config
from converters.quantization.schemes import SCHEMES, Scheme
from edge_ssd.commands.data_options import add_data_options, data_source
from edge_ssd.console.counts import count, signed
from edge_ssd.console.text import print_text

if TYPE_CHECKING:
    from converters.compare import Comparison

__all__ = ["add_arguments", "format_comparison", "run"]

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Convert a model with every quantization scheme and compare the files: average precision on the validation\n"
        "images, size, latency on this machine, and compatible runtimes. Each file is complete and ready to use."
    )
    parser.epilog = (
        "examples:\n"
        "  edge-ssd compare run/model.keras --data bananas --out schemes\n"
        "  edge-ssd compare run/model.keras --data bananas --out schemes --schemes int8,mixed --keep 'classes_*'"
    )
    add_data_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    parser.add_argument(
        "--schemes",
        default=",".join(SCHEMES),
        metavar="LIST",
        help="comma-separated (default: %(default)s; without mixed if ai-edge-quantizer is not installed)",
    )
    add_conversion_options(parser)
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the interpreter (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    schemes = _parse_schemes(args.schemes)
    config = conversion_config(args)
    quiet_tensorflow()
    from converters.compare import check_folder, compare_schemes
    from converters.load_model import find_float_model
    from edge_ssd.console.json_output import print_json
    from edge_ssd.data.load import open_dataset

    check_folder(args.out)
    model, data = find_float_model(args.model), open_dataset(data_source(args))
    for problem in data.common_problems:
        _log.warning("%s", problem)
    result = compare_schemes(model, data, args.out, config, schemes=schemes, threads=args.threads)
    if args.json:
        print_json(result.to_dict())
    else:
        print_text(format_comparison(result))
    return 0


def _parse_schemes(text: str) -> list[Scheme]:
    """Return the schemes of a comma-separated list, in the order of :data:`SCHEMES`."""
    from importlib.util import find_spec

    from edge_ssd.errors import SettingError

    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in SCHEMES]
    if unknown or not names:
        problem = f"no scheme is called {unknown[0]!r}" if unknown else "no scheme is named"
        raise SettingError(f"{problem}; choose from {', '.join(SCHEMES)}")
    if text == ",".join(SCHEMES) and find_spec("ai_edge_quantizer") is None:
        _log.info('skipping mixed, which needs: pip install "edge-ssd[mixed]"')
        names.remove("mixed")
    return [scheme for scheme in SCHEMES if scheme in names]


def format_comparison(result: Comparison) -> str:
    """Return text: a table with a row for each scheme, the runtimes that lack operators of a scheme's model, and the
    score thresholds."""
    from edge_ssd.console.table import format_table

    keras = result.keras
    width = max(len(str(row.path)) for row in result.rows)  # padded, because the column is aligned left
    table: list[tuple[str, ...]] = [
        ("scheme", "AP", "AP50", "AP75", "difference", "MB", "ms", "file".ljust(width)),
        ("Keras", f"{keras.ap:.3f}", f"{keras.ap50:.3f}", f"{keras.ap75:.3f}", "", "", "", ""),
    ]
    incompatible, thresholds = [], []
    for row in result.rows:
        precision = row.precision
        table.append(
            (
                row.scheme,
                *(f"{value:.3f}" for value in (precision.ap, precision.ap50, precision.ap75)),
                signed(precision.ap - keras.ap, 4),
                f"{row.size / 1e6:.2f}",
                f"{row.milliseconds:.2f}",
                str(row.path).ljust(width),
            )
        )
        thresholds.append(f"  {row.scheme}: {row.threshold.describe()}")
        incompatible += [f"  {row.scheme}: {target}" for target in row.targets if not target.runs]
    runs_on = f"{result.backend}, {count(result.threads, 'thread')}"
    runtimes = ", ".join(target.runtime for target in result.rows[0].targets)
    return "\n".join(
        [
            f"{count(keras.num_images, 'image')}, {count(keras.num_objects, 'object')}; {runs_on}",
            format_table(table),
            f"run on {runtimes}, except:" if incompatible else f"all run on {runtimes}",
            *incompatible,
            "score thresholds:",
            *thresholds,
        ]
    )
