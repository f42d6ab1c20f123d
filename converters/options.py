"""Command-line options that ``convert`` and ``compare`` share."""

from __future__ import annotations

import argparse
from typing import Any

from converters.config import DEFAULT_MAX_FALSE_ALARMS, ConversionConfig
from converters.quantization.layers import DEFAULT_KEEP
from edge_ssd.commands.data_options import add_background_option

__all__ = ["add_conversion_options", "conversion_config"]


def add_conversion_options(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the ``.keras`` file and the options that :func:`conversion_config` reads to ``parser``."""
    parser.add_argument(
        "model",
        metavar="MODEL.keras",
        help="a model that 'edge-ssd train' wrote; in a checkout, also a shipped model by name",
    )
    parser.add_argument(
        "--keep",
        metavar="LAYERS",
        help="for mixed: layers that stay out of int8, as comma-separated names or patterns, such as "
        f"'classes_0,down_sample_1/*' (default: the heads, {','.join(DEFAULT_KEEP)})",
    )
    parser.add_argument(
        "--keep-type",
        choices=("float", "int16"),
        help="for mixed: type of these layers (default: float; int16 needs ai-edge-litert 2.3 and is slower)",
    )
    parser.add_argument(
        "--calibration-images",
        type=int,
        default=ConversionConfig.calibration_images,
        metavar="N",
        help="number of training images that set the ranges of int8, mixed and int16x8 (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=ConversionConfig.seed,
        metavar="S",
        help="selects the calibration images (default: %(default)s)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="measure on N images, spread evenly (default: all)")
    add_background_option(parser)
    parser.add_argument(
        "--max-false-alarms",
        type=float,
        metavar="N",
        help="choose the lowest score threshold with at most N false alarms per 100 images "
        f"(default: {DEFAULT_MAX_FALSE_ALARMS:g}; the threshold is 0.5 if the images are too few to tell, or too few "
        "objects would be found)",
    )
    parser.add_argument(
        "--score-threshold", type=float, metavar="P", help="the file's default score threshold (default: chosen)"
    )


def conversion_config(args: argparse.Namespace, **settings: Any) -> ConversionConfig:
    """Return the configuration of parsed ``args`` and further fields ``settings``; raise SettingError if invalid."""
    return ConversionConfig(
        keep=DEFAULT_KEEP if args.keep is None else tuple(args.keep.split(",")),
        keep_type=args.keep_type or ConversionConfig.keep_type,
        calibration_images=args.calibration_images,
        seed=args.seed,
        limit=args.limit,
        score_threshold=args.score_threshold,
        max_false_alarms=args.max_false_alarms,
        background=tuple(args.background),
        **settings,
    )
