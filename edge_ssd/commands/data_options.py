"""The options that name a dataset, the same on every command that reads labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge_ssd.data.box_layouts import LAYOUTS, UNITS
from edge_ssd.data.eval_split import EVAL_SPLITS
from edge_ssd.data.formats.registry import LABEL_FORMATS
from edge_ssd.data.source import DataSource
from edge_ssd.data.split_names import SPLIT_OF_WORD

__all__ = [
    "add_background_option",
    "add_data_options",
    "add_eval_split_option",
    "add_label_options",
    "data_source",
    "split_word",
]


def add_data_options(
    parser: argparse.ArgumentParser,
    name: str = "--data",
    help: str = "a dataset; its format is detected",
    required: bool = True,
) -> None:
    """Declare the dataset's folder as ``name``, positional without a dash, and the options on how to read it."""
    option: dict[str, Any] = {"required": required} if name.startswith("-") else {}
    parser.add_argument(name, type=Path, metavar="DIR", help=help, **option)
    group = add_label_options(parser)
    group.add_argument(
        "--strict",
        action="store_true",
        help="stop with exit status 2 at the first faulty label or damaged image, and where it is open how the labels "
        "are read: two formats, boxes that may be stated otherwise, contradicting class names, a split that is guessed "
        "(default: drop and report it)",
    )


def add_label_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Declare the options on how labels are read: ``--format``, ``--classes``, ``--boxes`` and ``--box-units``.

    Returns:
        The group of these options.
    """
    group = parser.add_argument_group("labels")
    group.add_argument(
        "--format",
        choices=tuple(LABEL_FORMATS),
        metavar="NAME",
        help=f"of the labels, if a folder has several: {', '.join(LABEL_FORMATS)} (default: detected)",
    )
    group.add_argument(
        "--classes",
        metavar="LIST",
        help="use these classes only, separated by commas; OLD=NEW renames, * is all others (default: all)",
    )
    group.add_argument(
        "--boxes", choices=tuple(LAYOUTS), help="what the four numbers of a box are (default: as the format says)"
    )
    group.add_argument("--box-units", choices=tuple(UNITS), help="their units (default: as the format says)")
    return group


def split_word(text: str) -> str:
    """Return the split that a word of the user names, as in the names of folders: "validation" is "val"."""
    return SPLIT_OF_WORD.get(text.lower(), text)


def add_eval_split_option(parser: argparse.ArgumentParser) -> None:
    """Declare ``--split``, for :func:`edge_ssd.data.eval_split.load_eval_split`."""
    parser.add_argument(
        "--split",
        type=split_word,
        choices=EVAL_SPLITS,
        help="images to measure on (default: those that the model's training held out at random; else val, or test if "
        "there is no val; else all of an undivided dataset)",
    )


def add_background_option(
    parser: argparse._ActionsContainer, purpose: str = "to count false alarms in as well; may be repeated"
) -> None:
    """Declare ``--background``, for :func:`edge_ssd.data.background_images.load_background`."""
    parser.add_argument(
        "--background",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help=f"a folder of images without any object of the model's classes, {purpose}",
    )


def data_source(args: argparse.Namespace) -> DataSource:
    """Return the dataset that is selected by the options of :func:`add_data_options`."""
    return DataSource(args.data, args.format, args.classes, args.boxes, args.box_units, args.strict)
