"""Options of ``edge-ssd camera`` that collect images to label, and the collector that they describe."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from device_apps.arguments import check_positive
from edge_ssd.errors import SettingError

if TYPE_CHECKING:
    from device_apps.collect.collector import Collector
    from edge_ssd.runtime.detector import Detector

__all__ = ["add_collect_arguments", "check_collect_options", "open_collector"]


def add_collect_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --collect and its options to a parser."""
    group = parser.add_argument_group("collecting", "Images of this camera to label and train on.")
    group.add_argument(
        "--collect",
        type=Path,
        metavar="DIR",
        help="keep frames in which the detector is unsure, and those of new scenes, as a COCO dataset whose labels are "
        "the detections; with --event-snapshots and --web, also events that are judged right or wrong on the page",
    )
    group.add_argument("--collect-every", type=float, metavar="MINUTES", help="keep a frame every N minutes too")
    group.add_argument(
        "--collect-max-mb",
        type=float,
        default=500.0,
        metavar="MB",
        help="end at this size of the images (default: 500)",
    )


def check_collect_options(args: argparse.Namespace) -> None:
    """Raise SettingError for an invalid value."""
    for name in ("collect_every", "collect_max_mb"):
        check_positive(args, name)
    if args.collect is None and args.collect_every is not None:
        raise SettingError("--collect-every needs --collect DIR")


def open_collector(args: argparse.Namespace, stack: ExitStack, detector: Detector) -> Collector | None:
    """Return the collector that the options describe, or None; ``stack`` closes it.

    Raises EdgeSSDError if the folder cannot be written, has another dataset, or another program collects in it.
    """
    if args.collect is None:
        return None
    from device_apps.collect.collector import Collector
    from device_apps.locked_folder import locked_folder

    every = None if args.collect_every is None else 60 * args.collect_every
    max_bytes = round(args.collect_max_mb * 2**20)
    stack.enter_context(locked_folder(args.collect))  # Each would write its own labels only.
    return stack.enter_context(
        Collector(args.collect, detector.labels, lambda: detector.score_thresholds, max_bytes, every)
    )
