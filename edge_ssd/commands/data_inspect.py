"""``edge-ssd data inspect``: what a data set holds, and what is wrong with it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ssd.data.source import add_data_options, data_source

if TYPE_CHECKING:
    from PIL.Image import Image

    from edge_ssd.charts import Figure
    from edge_ssd.data.inspection.report import DatasetReport
    from edge_ssd.network import Network

__all__ = ["add_to", "check_picture_name", "run"]

_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Declare the subcommand; returns its parser."""
    inspect: argparse.ArgumentParser = commands.add_parser(
        "inspect",
        help="count what a data set holds and list its faults",
        description=(
            "Count pictures and boxes by class, compare box sizes with the anchors, and list every fault with its\n"
            "file. The format is recognised. Nothing is changed."
        ),
        epilog=(
            "examples:\n"
            "  edge-ssd data inspect data/bananas\n"
            "  edge-ssd data inspect data/bananas --split val --sheet sheet.png --histogram sizes.png\n"
            "  edge-ssd data inspect data/cells --classes '*,WBC=white,RBC=red' --decode --json\n"
            "  edge-ssd data inspect data/cells --anchors-of runs/cells/model.keras\n"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inspect.add_argument("folder", metavar="DIR", type=Path, help="a data set in any known format")
    add_data_options(inspect)
    inspect.add_argument("--split", choices=["train", "val", "test"], help="this split only (default: each by itself)")
    inspect.add_argument(
        "--anchors-of",
        metavar="MODEL",
        type=Path,
        help="compare with this .keras or .tflite model (default: the book's)",
    )
    inspect.add_argument("--decode", action="store_true", help="also decode every picture, not just its header")
    inspect.add_argument("--no-near", action="store_true", help="do not look for pictures that are nearly the same")
    inspect.add_argument("--strict", action="store_true", help="stop at the first fault, with exit status 2")
    inspect.add_argument("--sheet", metavar="FILE.png", type=Path, help="write a contact sheet with the boxes drawn in")
    inspect.add_argument("--histogram", metavar="FILE.png", type=Path, help="write the sizes of the boxes as a picture")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    return inspect


def run(args: argparse.Namespace) -> int:
    """Returns 0."""
    from edge_ssd.charts import check_matplotlib, save_figure
    from edge_ssd.console.json_output import print_json
    from edge_ssd.console.progress import Progress
    from edge_ssd.data.inspection.report import inspect_dataset
    from edge_ssd.data.inspection.report_text import format_summary, report_lines
    from edge_ssd.data.load import open_dataset
    from edge_ssd.files import atomic_path
    from edge_ssd.runtime.network_file import read_network

    for path in (args.sheet, args.histogram):
        if path is not None:
            check_picture_name(path)
    if args.histogram is not None:
        check_matplotlib()
    network = None if args.anchors_of is None else read_network(args.anchors_of)
    report = inspect_dataset(
        open_dataset(data_source(args, args.folder)),
        network,
        args.split,
        strict=args.strict,
        decode=args.decode,
        near=not args.no_near,
        steps=lambda label: Progress(label, "images"),
    )
    if args.json:
        print_json({"folder": str(args.folder), **report.to_dict()})
    else:
        parts = [format_summary(summary, f"{args.folder} {name}") for name, summary in report.summaries.items()]
        print("\n\n".join([*parts, *(["\n".join(lines)] if (lines := report_lines(report)) else [])]))
    if args.sheet is not None:
        with atomic_path(args.sheet) as temporary:
            _sheet(report).save(temporary)
        _report_file(args.sheet, "contact sheet", args)
    if args.histogram is not None:
        save_figure(_histogram(report, network, args.folder), args.histogram)
        _report_file(args.histogram, "sizes of the boxes", args)
    return 0


def check_picture_name(path: Path) -> None:
    """Raises DataError if ``path`` is not named like a picture, before any work is done for it."""
    from edge_ssd.errors import DataError

    if path.suffix.lower() not in _PICTURE_SUFFIXES:
        raise DataError(f"{path}: this is to be a picture: give it a name that ends in .png or .jpg")


def _sheet(report: DatasetReport) -> Image:
    from edge_ssd.data.inspection.contact_sheet import contact_sheet

    first, *others = report.datasets.values()
    samples = first.samples + tuple(sample for dataset in others for sample in dataset.samples)
    return contact_sheet(first.with_samples(samples))


def _histogram(report: DatasetReport, network: Network | None, folder: Path) -> Figure:
    import numpy as np

    from edge_ssd.data.anchor_fitting.match import network_boxes
    from edge_ssd.data.inspection.histogram import size_histogram
    from edge_ssd.network import tiny_ssd

    network = network or tiny_ssd(next(iter(report.datasets.values())).labels)
    boxes = np.concatenate([network_boxes(dataset, network.input) for dataset in report.datasets.values()])
    title = f"{folder.resolve().name}: {len(boxes)} boxes ({', '.join(report.datasets)})"
    return size_histogram(boxes, network.levels, title)


def _report_file(path: Path, what: str, args: argparse.Namespace) -> None:
    if not args.json:
        print(f"\n{path}: {what} of {args.folder}")
