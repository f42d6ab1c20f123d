"""Writing of lists of images (``train.txt``, ``val.txt``, ``test.txt``), which divide a dataset where it is."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path

from edge_ssd.atomic_write import atomic_path, check_writable
from edge_ssd.data.dataset import Dataset
from edge_ssd.data.detect_format import list_files
from edge_ssd.data.file_index import FileIndex
from edge_ssd.data.formats.registry import LABEL_FORMATS
from edge_ssd.data.label_files.split_lists import read_split_lists
from edge_ssd.data.load import DatasetFolder
from edge_ssd.data.locate_images import locate_images
from edge_ssd.data.split_names import SPLIT_OF_WORD, SPLITS
from edge_ssd.errors import DataError

__all__ = ["check_listable", "find_own_lists", "write_split_lists"]

# A line of a list: the path of an image, relative to the dataset's folder.
_PREFIX = "./"

_ADVICE = "give a second folder for a divided copy: edge-ssd data split IN OUT"


def find_own_lists(root: Path) -> dict[Path, int]:
    """Return the lists that :func:`write_split_lists` wrote into the folder ``root``, and the number of their images.

    It is empty if there are none or if they have been changed: each must have lines of its form only, and none may be
    repeated.
    """
    paths = [path for path in (root / f"{split}.txt" for split in SPLITS) if path.is_file()]
    lines = {path: _own_lines(path) for path in paths}
    every = [line for own in lines.values() for line in own]
    if (
        not all(lines.values())
        or len(set(every)) < len(every)
        or not {root / "train.txt", root / "val.txt"} <= set(paths)
    ):
        return {}
    return {path: len(own) for path, own in lines.items()}


def _own_lines(path: Path) -> list[str]:
    """Return the lines of a list, or none if one does not have the form in which they are written."""
    *lines, end = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    is_own = not end and all(line.startswith(_PREFIX) and line == line.strip() for line in lines)
    return lines if is_own else []


def check_listable(folder: DatasetFolder) -> None:
    """Raise DataError or OSError if lists cannot divide a dataset.

    That is so if there are lists already, if label files state the splits, if an image is not in the dataset's folder,
    or if the folder is not writable.
    """
    tree = folder.tree
    in_root = [path for path in tree.files(".txt") if path.parent == tree.root and path.stem.lower() in SPLIT_OF_WORD]
    lists = (*in_root, *read_split_lists(tree, FileIndex(tree, tree.images())).files)
    if lists:
        first = next((path for path in lists if not _own_lines(path)), lists[0])
        raise DataError(
            f"{first}: this list was not written by data split, or was changed, and is not overwritten: move it out "
            f"of the folder to divide the images anew, or {_ADVICE} --again"
        )
    for image in folder.annotations.images:
        if image.split:
            raise DataError(f"{image.label_file}: it states a split, which lists of images cannot change: {_ADVICE}")
    for path in (image.path for images in folder.located.splits.values() for image in images if image.path):
        if not path.is_relative_to(tree.root) or len(str(path).splitlines()) > 1:
            raise DataError(f"{path}: a list in {tree.root} cannot name this image: {_ADVICE}")
    check_writable(tree.root / "val.txt")


def write_split_lists(
    folder: DatasetFolder, splits: Mapping[str, Dataset], replaced: Collection[Path] = ()
) -> list[Path]:
    """Write a list for each split into a dataset's folder, and return them.

    The dataset is read again: if it is not divided as ``splits``, the lists are removed.

    Args:
        folder: the dataset, opened without the lists ``replaced``.
        replaced: lists of an earlier division, which are replaced or, where a split has no images any more, removed.

    Raises:
        DataError: as :func:`check_listable`, or the lists do not divide the dataset.
    """
    check_listable(folder)
    root = folder.tree.root
    written: list[Path] = []
    before = {path: path.read_bytes() for path in replaced}
    try:
        # The training list is last: without it, all images that the others do not name are for training.
        for split in reversed([split for split in SPLITS if split in splits]):
            lines = (f"{_PREFIX}{sample.path.relative_to(root).as_posix()}\n" for sample in splits[split].samples)
            with atomic_path(root / f"{split}.txt") as temporary:
                temporary.write_bytes("".join(lines).encode("utf-8", "surrogateescape"))
            written.append(root / f"{split}.txt")
        for path in before.keys() - written:
            path.unlink()
        _check_division(folder, splits)
    except BaseException:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        for path, content in before.items():
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
        raise
    return written[::-1]


def _check_division(folder: DatasetFolder, splits: Mapping[str, Dataset]) -> None:
    tree = list_files(folder.source)
    located = locate_images(tree, LABEL_FORMATS[folder.format].parse(tree)).splits
    for split, dataset in splits.items():
        found = {image.path for image in located.get(split, ())}
        if any(sample.path not in found for sample in dataset.samples):
            raise DataError(f"{folder.source.folder}: lists do not divide this dataset: {_ADVICE}")
