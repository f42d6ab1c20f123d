"""``edge-ssd data inspect``: contents and faults of a dataset."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ssd.commands.data_options import add_data_options, data_source, split_word
from edge_ssd.commands.network_options import add_input_options
from edge_ssd.commands.recipe_options import add_recipe_options, given_recipe, option_names
from edge_ssd.console.counts import count
from edge_ssd.console.text import print_text
from edge_ssd.data.eval_split import EVAL_SPLITS
from edge_ssd.errors import DataError, SettingError
from edge_ssd.training.recipe import AUGMENTATION_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from edge_ssd.charts import Figure
    from edge_ssd.data.dataset import Dataset
    from edge_ssd.network import Network
    from edge_ssd.training.recipe import Recipe

__all__ = ["add_to", "run"]

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")

_log = logging.getLogger(__name__)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``edge-ssd data inspect`` to ``commands``, the subcommands of ``edge-ssd data``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "inspect",
        help="count what a dataset holds and list its faults",
        description=(
            "Count images and boxes by class, compare box sizes with the anchors, and list every fault with its\n"
            "file. The label format is detected. Nothing is changed."
        ),
        epilog=(
            "examples:\n"
            "  edge-ssd data inspect data/bananas\n"
            "  edge-ssd data inspect data/bananas --split val --sheet sheet.png --histogram sizes.png\n"
            "  edge-ssd data inspect data/cells --classes '*,WBC=white,RBC=red' --strict --json\n"
            "  edge-ssd data inspect data/cells --anchors-of runs/cells/model.keras\n"
            "  edge-ssd data inspect data/cells --augmented sheet.png --crop --expand 2\n"
        ),
    )
    add_data_options(parser, "data", help="a dataset in any supported format")
    parser.add_argument("--split", type=split_word, choices=EVAL_SPLITS, help="this split only (default: all)")
    parser.add_argument(
        "--anchors-of",
        metavar="MODEL",
        type=Path,
        help="compare with this .keras or .tflite model (default: the book's), and name the images that its training "
        "held out",
    )
    parser.add_argument(
        "--decode",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="decode every image, as a training does (default), or read only headers, which finds no damaged images "
        "and no near duplicates",
    )
    parser.add_argument("--no-near", action="store_true", help="do not search for near-duplicate images")
    parser.add_argument("--sheet", metavar="FILE.png", type=Path, help="write a contact sheet with the boxes drawn in")
    parser.add_argument("--histogram", metavar="FILE.png", type=Path, help="write a plot of the box sizes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    group = parser.add_argument_group("augmentation, for --augmented (the same options as in 'edge-ssd train')")
    group.add_argument(
        "--augmented",
        metavar="FILE.png",
        type=Path,
        help="write a contact sheet of augmented training images: each augmentation by itself, then all together",
    )
    add_input_options(group)
    add_recipe_options(group, ("seed", *AUGMENTATION_FIELDS))


def run(args: argparse.Namespace) -> int:
    """Inspect the dataset, print the report, write the requested images; return 0."""
    from edge_ssd.atomic_write import check_writable
    from edge_ssd.charts import check_matplotlib, save_figure
    from edge_ssd.console.json_output import print_json
    from edge_ssd.console.progress import Progress
    from edge_ssd.data.held_out_images import name_some, where_listed
    from edge_ssd.data.inspection.contact_sheet import contact_sheet
    from edge_ssd.data.inspection.report import inspect_dataset
    from edge_ssd.data.inspection.report_text import format_report
    from edge_ssd.data.load import open_dataset
    from edge_ssd.data.splits import combine_splits
    from edge_ssd.data.training_images import describe_division
    from edge_ssd.runtime.network_file import read_description
    from edge_ssd.training.recipe import Recipe

    recipe_options = given_recipe(args)
    if recipe_options and args.augmented is None:
        raise SettingError(f"{option_names(recipe_options)}: these need --augmented FILE.png; name the file")
    recipe = Recipe(**recipe_options)
    for path in (args.augmented, args.sheet, args.histogram):
        if path is not None and path.suffix.lower() not in _IMAGE_SUFFIXES:
            raise DataError(f"{path}: an image is written here: give it a name that ends in .png or .jpg")
    if args.histogram is not None:
        check_matplotlib()
    outputs = [path for path in (args.augmented, args.sheet, args.histogram) if path is not None]
    for path in outputs:
        check_writable(path)
    new_folders = {path.parent for path in outputs if not path.parent.exists()}
    network, description = (None, {}) if args.anchors_of is None else read_description(args.anchors_of)
    folder = open_dataset(data_source(args))
    report = inspect_dataset(
        folder,
        network,
        None if args.split == "all" else args.split,
        strict=args.strict,
        decode=args.decode,
        near=not args.no_near,
        steps=lambda label: Progress(label, "images"),
    )
    datasets = {name: summary.dataset for name, summary in report.summaries.items()}
    held_out = _held_out_names(combine_splits(datasets), description)
    if args.json:
        facts = {} if held_out is None else {"held_out": held_out}
        print_json({"folder": str(args.data), **report.to_dict(), **facts})
    else:
        print_text(format_report(report, str(args.data)))
        if args.split in (None, "all") and (division := describe_division(folder)):
            print_text(division)
        if held_out:
            names = f"{name_some(held_out)}; all are listed in {where_listed(args.anchors_of)}"
            print_text(f"held out by the training of {args.anchors_of}: {count(len(held_out), 'image')}: {names}")
    written: list[tuple[Path, str]] = []
    if args.sheet is not None:
        _save(contact_sheet(combine_splits(datasets)), args.sheet)
        written.append((args.sheet, "contact sheet"))
    if args.histogram is not None:
        save_figure(_size_histogram(datasets, network, folder.name), args.histogram)
        written.append((args.histogram, "box sizes"))
    if args.augmented is not None:
        _save(_augmented_sheet(datasets, recipe, args), args.augmented)
        written.append((args.augmented, "augmented training images"))
    for folder_path in new_folders:
        _log.info("%s: new folder, for %s", folder_path, ", ".join(p.name for p in outputs if p.parent == folder_path))
    if not args.json:
        print_text("".join(f"\n{path}: {content} of {args.data}\n" for path, content in written), end="")
    return 0


def _held_out_names(dataset: Dataset, description: Mapping[str, Any]) -> list[str] | None:
    """Return the names of the images that the training of a model held out; None if its description has no names."""
    from edge_ssd.data.held_out import image_name
    from edge_ssd.data.held_out_images import find_held_out, parse_held_out

    held_out = parse_held_out(description)
    if held_out is None or not held_out.names:
        return None
    return [image_name(dataset.samples[i].path, dataset.root) for i in sorted(find_held_out(dataset, held_out))]


def _size_histogram(datasets: Mapping[str, Dataset], network: Network | None, name: str) -> Figure:
    import numpy as np

    from edge_ssd.data.anchor_fitting.match import network_boxes
    from edge_ssd.data.inspection.histogram import size_histogram
    from edge_ssd.network import tiny_ssd

    network = network or tiny_ssd(next(iter(datasets.values())).labels)
    boxes = np.concatenate([network_boxes(dataset, network.input) for dataset in datasets.values()])
    return size_histogram(boxes, network.levels, f"{name}: {count(len(boxes), 'box')} ({', '.join(datasets)})")


def _augmented_sheet(datasets: Mapping[str, Dataset], recipe: Recipe, args: argparse.Namespace) -> Image:
    """Return the sheet of the training images, or of all images if none are for training."""
    from edge_ssd.training.tensorflow_logs import quiet_tensorflow

    quiet_tensorflow()
    from edge_ssd.data.splits import combine_splits
    from edge_ssd.network import InputSpec
    from edge_ssd.training.input.augmented_sheet import augmented_sheet

    height, width = args.input_size
    dataset = datasets["train"] if "train" in datasets else combine_splits(datasets)
    return augmented_sheet(dataset, InputSpec(height, width, resize=args.resize), recipe)


def _save(image: Image, path: Path) -> None:
    from edge_ssd.atomic_write import atomic_path

    with atomic_path(path) as temporary:
        image.save(temporary)
