"""The options of the commands that write a dataset, and the table of what was written."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_ssd.console.counts import count
from edge_ssd.console.text import print_text
from edge_ssd.data.writers.place_image import IMAGE_MODES, ImageMode
from edge_ssd.data.writers.registry import DATASET_WRITERS

if TYPE_CHECKING:
    from edge_ssd.data.dataset import Dataset
    from edge_ssd.data.image_header import ImageHeader

__all__ = ["add_output_options", "split_table", "write"]


def add_output_options(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Declare ``--to``, required without a ``default``, and ``--images``; both are None if they are not given."""
    parser.add_argument(
        "--to",
        choices=tuple(DATASET_WRITERS),
        required=default is None,
        help="label format to write" + (f" (default: {default})" if default else ""),
    )
    parser.add_argument(
        "--images",
        choices=IMAGE_MODES,
        help="copy the images, link them (a change of one then changes the original), or labels only (default: copy)",
    )


def write(
    args: argparse.Namespace,
    out: Path,
    splits: Mapping[str, Dataset],
    roots: Sequence[Path],
    to: str,
    read_header: Callable[[Path], ImageHeader] | None = None,
) -> None:
    """Write a dataset to ``out`` with the options of :func:`add_output_options`, and print what it holds.

    Args:
        roots, read_header: as of :func:`edge_ssd.data.writers.write.write_dataset`.
        to: the label format.
    """
    from edge_ssd.console.progress import Progress
    from edge_ssd.data.formats.registry import LABEL_FORMATS
    from edge_ssd.data.image_header import read_image_header
    from edge_ssd.data.writers.write import write_dataset

    with Progress("writing", "images") as progress:
        mode: ImageMode = args.images or "copy"
        write_dataset(out, splits, to, roots, mode, read_header or read_image_header, progress)
    images = sum(map(len, splits.values()))
    boxes = sum(dataset.num_boxes for dataset in splits.values())
    print_text(f"{out}: {LABEL_FORMATS[to].TITLE}, {count(images, 'image')}, {count(boxes, 'box')}")
    print_text(split_table(splits))


def split_table(splits: Mapping[str, Dataset]) -> str:
    """Return a table of the images, and the boxes of each class, in every split."""
    import numpy as np

    from edge_ssd.console.table import format_table

    datasets = splits.values()
    labels = next(iter(datasets)).labels
    boxes = [
        np.bincount(np.concatenate([sample.class_ids for sample in dataset.samples]), minlength=len(labels)).tolist()
        for dataset in datasets
    ]
    backgrounds = [sum(len(sample.class_ids) == 0 for sample in dataset.samples) for dataset in datasets]
    rows = [["", *(split or "all" for split in splits)], ["images", *(str(len(dataset)) for dataset in datasets)]]
    if any(backgrounds):
        rows.append(["  without a box", *map(str, backgrounds)])
    rows += [[f"  {label}", *(str(counts[index]) for counts in boxes)] for index, label in enumerate(labels)]
    return format_table(rows, indent="  ")
